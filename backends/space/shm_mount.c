/* SPDX-License-Identifier: MIT */
#include "backends/space/shm_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "backends/contract/descriptor.h"

int ipcfs_shm_mount_check(int fd, dev_t *device)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC || fstat(fd, &st))
		return -ENOENT;
	*device = st.st_dev;
	return 0;
}

int ipcfs_shm_mount_open(dev_t *device)
{
	int fd = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && ipcfs_shm_mount_check(fd, device))
		ipcfs_descriptor_close(&fd);
	return fd;
}
