/* SPDX-License-Identifier: MIT */
#include "proc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ipcfs_proc_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void ipcfs_proc_file_free(struct ipcfs_proc_file *file)
{
	if (file->text != file->small)
		free(file->text);
	file->text = file->small;
}

void ipcfs_proc_path(char path[IPCFS_PROC_PATH_ROOM], pid_t tid, const char *name)
{
	snprintf(path, IPCFS_PROC_PATH_ROOM, "/proc/%d/%s", (int)tid, name);
}

/* Double the room. -ENOMEM: the file is as it was. */
static int proc_file_grow(struct ipcfs_proc_file *file, size_t *room)
{
	bool on_heap = file->text != file->small;
	char *text = realloc(on_heap ? file->text : NULL, 2 * *room);

	if (!text)
		return -ENOMEM;
	if (!on_heap)
		memcpy(text, file->small, sizeof(file->small));
	file->text = text;
	*room *= 2;
	return 0;
}

int ipcfs_proc_open_error(void)
{
	return errno == EMFILE || errno == ENFILE ? -ENOMEM : -errno;
}

int ipcfs_proc_file_read_at(struct ipcfs_proc_file *file, int directory, const char *name)
{
	__attribute__((cleanup(ipcfs_proc_close))) int fd = -1;
	size_t size = 0, room = sizeof(file->small);

	file->text = file->small;
	file->small[0] = '\0';
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ipcfs_proc_open_error();
	for (;;) {
		ssize_t got = read(fd, file->text + size, room - size - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		size += (size_t)got;
		file->text[size] = '\0';
		/* The kernel makes these files in one piece: a short read was the last one. */
		if (size < room - 1)
			return 0;
		if (proc_file_grow(file, &room))
			return -ENOMEM;
	}
}

int ipcfs_proc_file_read(struct ipcfs_proc_file *file, pid_t tid, const char *name)
{
	char path[IPCFS_PROC_PATH_ROOM];

	ipcfs_proc_path(path, tid, name);
	return ipcfs_proc_file_read_at(file, AT_FDCWD, path);
}

const char *ipcfs_proc_file_value(const struct ipcfs_proc_file *status, const char *key)
{
	const char *at = strstr(status->text, key);

	return at ? at + strlen(key) : NULL;
}

bool ipcfs_proc_file_mask(const struct ipcfs_proc_file *status, const char *key, uint64_t *mask)
{
	const char *value = ipcfs_proc_file_value(status, key);

	return value && sscanf(value, "%" SCNx64, mask) == 1;
}
