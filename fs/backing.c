/* SPDX-License-Identifier: MIT */
/* The kernel's header and the library's don't go together: this file knows the former. */
#include "backing.h"

#include <errno.h>
#include <stdint.h>

#ifdef IPCFS_PASSTHROUGH
#include <linux/fuse.h>
#include <sys/ioctl.h>

bool ipcfs_backing_possible(void)
{
	return true;
}

int ipcfs_backing_open(int device, int fd)
{
	struct fuse_backing_map map = { .fd = fd };
	int id = ioctl(device, FUSE_DEV_IOC_BACKING_OPEN, &map);

	if (id < 0)
		return -errno;
	return id > 0 ? id : -EOPNOTSUPP;
}

void ipcfs_backing_close(int device, int id)
{
	uint32_t number = (uint32_t)id;

	/* It fails only where there is no connection any more, and with that no id. */
	(void)ioctl(device, FUSE_DEV_IOC_BACKING_CLOSE, &number);
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
#endif
