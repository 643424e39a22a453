/* SPDX-License-Identifier: MIT */
#include "fs/base/proc_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"

void ipcfs_proc_file_free(struct ipcfs_proc_file *file)
{
	if (file->text != file->small)
		free(file->text);
	file->text = file->small;
}

void ipcfs_proc_path(char path[IPCFS_PROC_PATH_SIZE], pid_t tid, const char *name)
{
	snprintf(path, IPCFS_PROC_PATH_SIZE, "/proc/%d/%s", (int)tid, name);
}

/* Doubles the capacity. -ENOMEM: nothing is changed. */
static int proc_file_grow(struct ipcfs_proc_file *file, size_t *capacity)
{
	bool on_heap = file->text != file->small;
	char *text = realloc(on_heap ? file->text : NULL, 2 * *capacity);

	if (!text)
		return -ENOMEM;
	if (!on_heap)
		memcpy(text, file->small, sizeof(file->small));
	file->text = text;
	*capacity *= 2;
	return 0;
}

int ipcfs_proc_open_error(void)
{
	return errno == EMFILE || errno == ENFILE ? -ENOMEM : -errno;
}

int ipcfs_proc_file_read_at(struct ipcfs_proc_file *file, int directory, const char *name)
{
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	size_t size = 0, capacity = sizeof(file->small);

	file->text = file->small;
	file->small[0] = '\0';
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ipcfs_proc_open_error();
	for (;;) {
		ssize_t got = read(fd, file->text + size, capacity - size - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		size += (size_t)got;
		file->text[size] = '\0';
		/* The kernel writes these files in one piece, so a short read is the last one. */
		if (size < capacity - 1)
			return 0;
		if (proc_file_grow(file, &capacity))
			return -ENOMEM;
	}
}

int ipcfs_proc_file_read(struct ipcfs_proc_file *file, pid_t tid, const char *name)
{
	char path[IPCFS_PROC_PATH_SIZE];

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
