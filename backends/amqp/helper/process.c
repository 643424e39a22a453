/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/process.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"

int ipcfs_amqp_send_daemon(const struct ipcfs_amqp_record *record, const void *text,
			   const void *body)
{
	struct pollfd socket = { .fd = IPCFS_AMQP_SOCKET, .events = POLLOUT };
	int err;

	while ((err = ipcfs_amqp_send(IPCFS_AMQP_SOCKET, record, text, body)) == -EAGAIN) {
		if (poll(&socket, 1, -1) < 0 && errno != EINTR)
			break;
	}
	return err;
}

uint32_t ipcfs_amqp_to_printable(const char *bytes, size_t size, char *line, size_t capacity)
{
	if (size >= capacity)
		size = capacity - 1;
	for (size_t i = 0; i < size; i++)
		line[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
	line[size] = '\0';
	return (uint32_t)size;
}

bool ipcfs_amqp_number(const char *text, unsigned long long least, unsigned long long max,
		       unsigned long long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end && *value >= least && *value <= max;
}

int ipcfs_amqp_read_password(const char *path, char password[IPCFS_AMQP_PASSWORD_SIZE])
{
	ssize_t size = ipcfs_descriptor_read_path(path, password, IPCFS_AMQP_PASSWORD_SIZE);

	if (size < 0)
		return (int)size;
	if (size == IPCFS_AMQP_PASSWORD_SIZE - 1)
		return -E2BIG;
	password[strcspn(password, "\r\n")] = '\0';
	return 0;
}

bool ipcfs_amqp_become(const char *uid, const char *gid)
{
	unsigned long long user, group;

	if (!*uid)
		return true;
	return ipcfs_amqp_number(uid, 0, UINT32_MAX - 1, &user) &&
	       ipcfs_amqp_number(gid, 0, UINT32_MAX - 1, &group) && !setgroups(0, NULL) &&
	       !setresgid((gid_t)group, (gid_t)group, (gid_t)group) &&
	       !setresuid((uid_t)user, (uid_t)user, (uid_t)user);
}
