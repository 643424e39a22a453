/* SPDX-License-Identifier: MIT */
#include "backends/space/message_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* of Linux 6.3 */
#endif

/* The bytes between two places: more than the largest has. Only written ones take memory. */
#define STRIDE ((off_t)1 << 32)

static off_t offset_of(uint32_t place)
{
	return place * STRIDE;
}

int ipcfs_message_store_open(void)
{
	int file = memfd_create("ipcfs-leases", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (file < 0 && errno == EINVAL)
		file = memfd_create("ipcfs-leases", MFD_CLOEXEC);
	return file < 0 ? -ENOMEM : file;
}

static int write_all(int file, const void *bytes, size_t size, off_t offset)
{
	const char *at = bytes;

	while (size) {
		ssize_t written = ipcfs_descriptor_write_at(file, at, size, offset);

		if (written <= 0)
			return -ENOMEM;
		at += written;
		size -= (size_t)written;
		offset += written;
	}
	return 0;
}

int ipcfs_message_store_write(int file, uint32_t place, const struct ipcfs_message *message,
			      size_t size)
{
	return write_all(file, message, sizeof(*message) + size,
			 offset_of(place) + (off_t)sizeof(struct ipcfs_kept));
}

int ipcfs_message_store_mark(int file, uint32_t place, const struct ipcfs_kept *entry)
{
	return write_all(file, entry, sizeof(*entry), offset_of(place));
}

void ipcfs_message_store_erase(int file, uint32_t place)
{
	const struct ipcfs_kept none = { .sequence = 0 };

	/* a place that has no memory yet is free already, so this needs none */
	(void)ipcfs_message_store_mark(file, place, &none);
	(void)fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of(place), STRIDE);
}

uint32_t ipcfs_message_store_next(int file, uint32_t place)
{
	off_t offset = lseek(file, offset_of(place), SEEK_DATA);

	return offset < 0 ? UINT32_MAX : (uint32_t)(offset / STRIDE);
}

uint32_t ipcfs_message_store_places(int file)
{
	struct stat st;

	return fstat(file, &st) ? 0 : (uint32_t)((st.st_size + STRIDE - 1) / STRIDE);
}

static bool read_all(int file, void *bytes, size_t size, off_t offset)
{
	char *at = bytes;

	while (size) {
		ssize_t got = ipcfs_descriptor_read_at(file, at, size, offset);

		if (got <= 0)
			return false;
		at += got;
		size -= (size_t)got;
		offset += got;
	}
	return true;
}

bool ipcfs_message_store_entry(int file, uint32_t place, struct ipcfs_kept *entry)
{
	return read_all(file, entry, sizeof(*entry), offset_of(place)) && entry->sequence;
}

bool ipcfs_message_store_read(int file, uint32_t place, struct ipcfs_message *message, size_t size)
{
	return read_all(file, message, sizeof(*message) + size,
			offset_of(place) + (off_t)sizeof(struct ipcfs_kept));
}
