/* SPDX-License-Identifier: MIT */
/* The kernel's limits on IPC: files in /proc/sys, which follow the reader's IPC namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "descriptor.h"
#include "identity.h"

/* The longest value the kernel shows is that of "sem": four numbers. */
#define VALUE_MAX 128

#define KERNEL "/proc/sys/kernel/"
#define MQUEUE "/proc/sys/fs/mqueue/"

const struct ipcfs_limit ipcfs_limits[] = {
	{ "msgmax", KERNEL "msgmax" },
	{ "msgmnb", KERNEL "msgmnb" },
	{ "msgmni", KERNEL "msgmni" },
	{ "sem", KERNEL "sem" },
	{ "shmmax", KERNEL "shmmax" },
	{ "shmall", KERNEL "shmall" },
	{ "shmmni", KERNEL "shmmni" },
	{ "shm_rmid_forced", KERNEL "shm_rmid_forced" },
	{ "mq_queues_max", MQUEUE "queues_max" },
	{ "mq_msg_max", MQUEUE "msg_max" },
	{ "mq_msgsize_max", MQUEUE "msgsize_max" },
	{ "mq_msg_default", MQUEUE "msg_default" },
	{ "mq_msgsize_default", MQUEUE "msgsize_default" },
	{ NULL, NULL },
};

int ipcfs_limit_read(const struct ipcfs_limit *limit, struct ipcfs_text *out)
{
	char value[VALUE_MAX];
	ssize_t size = ipcfs_descriptor_read_path(limit->path, value, sizeof(value));

	return size < 0 ? (int)size : ipcfs_text_add(out, value, (size_t)size);
}

/*
 * Decimal numbers with blanks between them, as many as this limit has at most: the kernel would
 * take the start of what is malformed, and wrap what is too large.
 */
static int check_value(const struct ipcfs_limit *limit, const char *value)
{
	int most = strcmp(limit->name, "sem") ? 1 : 4;
	int count = 0;

	for (;;) {
		char *end;

		value += strspn(value, " \t");
		if (*value < '0' || *value > '9')
			break;
		if (++count > most)
			return -EINVAL;
		errno = 0;
		(void)strtoul(value, &end, 10);
		if (errno)
			return -ERANGE;
		if (*end && !strchr(" \t\n", *end))
			return -EINVAL;
		value = end;
	}
	if (*value == '\n')
		value++;
	return count && !*value ? 0 : -EINVAL;
}

struct setting {
	const char *path;
	size_t size;
	char value[VALUE_MAX];
};

/* With the caller's identity: the kernel checks both the open and the write. */
static int write_value(void *arg)
{
	const struct setting *setting = arg;
	IPCFS_DESCRIPTOR_AUTO int fd = open(setting->path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	do {
		written = write(fd, setting->value, setting->size);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return (size_t)written == setting->size ? 0 : -EINVAL;
}

int ipcfs_limit_write(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller,
		      const char *value, size_t size)
{
	struct setting setting = { .path = limit->path, .size = size };
	int error;

	if (size >= sizeof(setting.value) || memchr(value, '\0', size))
		return -EINVAL;
	memcpy(setting.value, value, size);
	setting.value[size] = '\0';
	error = check_value(limit, setting.value);
	if (error)
		return error;
	return ipcfs_identity_run(caller, write_value, &setting, sizeof(setting));
}
