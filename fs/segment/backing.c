/* SPDX-License-Identifier: MIT */
#include "fs/segment/backing.h"

#include <errno.h>
#include <stdint.h>

#ifdef IPCFS_PASSTHROUGH
#include <sys/ioctl.h>

#include "fs/base/legacy.h"

/*
 * Defined as <linux/fuse.h> of Linux 6.9 defines them. That header is not included: on the build
 * machine it may be older than the kernel that ipcfs runs on, and it conflicts with the header of
 * libfuse.
 */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

bool ipcfs_backing_possible(void)
{
	return true;
}

int ipcfs_backing_open(int device, int fd)
{
	const struct backing_map map = { .fd = fd };
	int id = ioctl(device, BACKING_OPEN, &map);

	if (id < 0)
		return -errno;
	return id > 0 ? id : -EOPNOTSUPP;
}

void ipcfs_backing_close(int device, int id)
{
	uint32_t number = (uint32_t)id;

	/* An error means that the connection has ended, and the id with it. */
	(void)ioctl(device, BACKING_CLOSE, &number);
}

void ipcfs_backing_close_old(struct ipcfs_legacy *legacy, int device)
{
	for (size_t i = 0; i < IPCFS_LEGACY_BACKINGS; i++) {
		int id = atomic_load(&legacy->backings[i]);

		atomic_store(&legacy->backings[i], id < 0 ? -id : 0);
		if (id > 0)
			ipcfs_backing_close(device, id);
	}
}

#else

bool ipcfs_backing_possible(void)
{
	return false;
}

int ipcfs_backing_open(int device, int fd)
{
	(void)device;
	(void)fd;
	return -EOPNOTSUPP;
}

void ipcfs_backing_close(int device, int id)
{
	(void)device;
	(void)id;
}

void ipcfs_backing_close_old(struct ipcfs_legacy *legacy, int device)
{
	(void)legacy;
	(void)device;
}
#endif
