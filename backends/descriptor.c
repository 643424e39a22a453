/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "descriptor.h"

void ipcfs_descriptor_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing to be done about it: Linux closes it in any case */
	*fd = -1;
	errno = saved;
}

ssize_t ipcfs_descriptor_read(int fd, char *bytes, size_t room)
{
	size_t size = 0;

	while (size + 1 < room) {
		ssize_t got = read(fd, bytes + size, room - 1 - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	bytes[size] = '\0';
	return (ssize_t)size;
}

ssize_t ipcfs_descriptor_read_path(const char *path, char *bytes, size_t room)
{
	IPCFS_DESCRIPTOR_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return ipcfs_descriptor_read(fd, bytes, room);
}

int ipcfs_descriptor_number(const char *path, uint64_t *value)
{
	char bytes[64];
	char *end;
	ssize_t size = ipcfs_descriptor_read_path(path, bytes, sizeof(bytes));

	if (size < 0)
		return (int)size;
	errno = 0;
	*value = strtoull(bytes, &end, 10);
	return end == bytes || errno ? -EINVAL : 0;
}
