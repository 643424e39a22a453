/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"

#define PIECES_MAX 1024	    /* of a range, that are looked at: less than 1 ms */
#define PAGE_MOST (1 << 30) /* bytes; larger pages are not expected */

void ipcfs_descriptor_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* on an error, too, Linux has closed it */
	*fd = -1;
	errno = saved;
}

/* For pthread_create. */
static void *close_in_thread(void *arg)
{
	(void)close((int)(intptr_t)arg);
	return NULL;
}

void ipcfs_descriptor_close_apart(int *fd)
{
	pthread_t thread;

	if (*fd >= 0 && !pthread_create(&thread, NULL, close_in_thread, (void *)(intptr_t)*fd)) {
		(void)pthread_detach(thread); /* cannot fail */
		*fd = -1;
	}
	ipcfs_descriptor_close(fd);
}

ssize_t ipcfs_descriptor_read(int fd, char *bytes, size_t capacity)
{
	size_t size = 0;

	while (size + 1 < capacity) {
		ssize_t got = read(fd, bytes + size, capacity - 1 - size);

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

ssize_t ipcfs_descriptor_read_path(const char *path, char *bytes, size_t capacity)
{
	IPCFS_DESCRIPTOR_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return ipcfs_descriptor_read(fd, bytes, capacity);
}

ssize_t ipcfs_descriptor_read_at(int fd, void *bytes, size_t size, off_t offset)
{
	ssize_t got;

	do {
		got = pread(fd, bytes, size, offset);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

ssize_t ipcfs_descriptor_write_at(int fd, const void *bytes, size_t size, off_t offset)
{
	ssize_t written;

	do {
		written = pwrite(fd, bytes, size, offset);
	} while (written < 0 && errno == EINTR);
	return written < 0 ? -errno : written;
}

int ipcfs_descriptor_memory(const char *name, size_t size)
{
	struct rlimit limit;
	int file;

	/* beyond it ftruncate(2) would send SIGXFSZ */
	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur < size)
		return -1;
	file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file >= 0 && (ftruncate(file, (off_t)size) < 0 ||
			  fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		ipcfs_descriptor_close(&file);
	return file;
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

/*
 * Returns how many bytes of a range hold no data. The last part of one with many pieces counts as
 * empty.
 */
static uint64_t holes(int fd, off_t at, off_t end)
{
	uint64_t bytes = 0;

	for (unsigned pieces = 0; at < end && pieces < PIECES_MAX; pieces++) {
		off_t data = lseek(fd, at, SEEK_DATA);

		if (data < 0 || data >= end) /* there is none */
			break;
		bytes += (uint64_t)(data - at);
		at = lseek(fd, data, SEEK_HOLE);
		if (at < 0) /* the file was cut */
			at = data;
	}
	return at < end ? bytes + (uint64_t)(end - at) : bytes;
}

/* Returns the bytes of the pages that the file is made of: those of a huge tmpfs are larger. */
static uint64_t page_of(const struct statx *st)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return st->stx_blksize > page && st->stx_blksize <= PAGE_MOST ? st->stx_blksize : page;
}

int ipcfs_descriptor_growth(int fd, off_t offset, uint64_t size, struct ipcfs_growth *growth)
{
	const uint64_t last = INT64_MAX; /* no file has more bytes */
	uint64_t page, end, whole, room;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_BLOCKS, &st))
		return -errno;
	page = page_of(&st);
	end = size < last - (uint64_t)offset ? (uint64_t)offset + size : last;
	end = end > last - page ? last : (end + page - 1) / page * page;
	offset -= offset % (off_t)page;
	growth->now = st.stx_blocks * 512;
	growth->unwritten = holes(fd, offset, (off_t)end);
	whole = end > st.stx_size ? end : (st.stx_size + page - 1) / page * page;
	room = whole > growth->now ? whole - growth->now : 0;
	/* memory that was reserved and not written counts as a hole */
	growth->most = growth->unwritten < room ? growth->unwritten : room;
	return 0;
}
