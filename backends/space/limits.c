/* SPDX-License-Identifier: MIT */
/*
 * The kernel's limits on IPC. Each file of /proc/sys shows the IPC namespace of the thread that
 * opens it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/limits.h"

/* Bytes. The longest value is that of "sem", four numbers. */
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
 * Checks that a value is decimal numbers with blanks between them, at most as many as the limit
 * has. The kernel would take the beginning of a malformed value, and wrap a number that is too
 * large.
 * -EINVAL: the value has another form.
 * -ERANGE: a number is too large.
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

/* Opens the file of the limit `arg` as the caller. */
static int open_limit(void *arg)
{
	const struct ipcfs_limit *limit = arg;
	IPCFS_DESCRIPTOR_AUTO int fd = open(limit->path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

int ipcfs_limit_check(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller)
{
	struct ipcfs_limit copy = *limit;

	return ipcfs_act_as(caller, open_limit, &copy, sizeof(copy));
}

struct new_value {
	const char *path;
	size_t size;
	char value[VALUE_MAX];
};

/* Opens and writes as the caller: the kernel checks both. */
static int write_value(void *arg)
{
	const struct new_value *new_value = arg;
	IPCFS_DESCRIPTOR_AUTO int fd = open(new_value->path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	do {
		written = write(fd, new_value->value, new_value->size);
	} while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return (size_t)written == new_value->size ? 0 : -EINVAL;
}

int ipcfs_limit_write(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller,
		      const char *value, size_t size)
{
	struct new_value new_value = { .path = limit->path, .size = size };
	int error;

	if (size == 0 || size >= sizeof(new_value.value) || memchr(value, '\0', size))
		return -EINVAL;
	memcpy(new_value.value, value, size);
	new_value.value[size] = '\0';
	error = check_value(limit, new_value.value);
	if (error)
		return error;
	return ipcfs_act_as(caller, write_value, &new_value, sizeof(new_value));
}
