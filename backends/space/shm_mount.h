/* SPDX-License-Identifier: MIT */
/* Opening /dev/shm: only a tmpfs counts. */
#ifndef IPCFS_SHM_MOUNT_H
#define IPCFS_SHM_MOUNT_H

#include <sys/types.h>

/*
 * Opens the daemon's own /dev/shm with O_PATH. Returns the descriptor, to be closed, and its device
 * in *device. -1: /dev/shm is missing, or is no tmpfs.
 */
int ipcfs_shm_mount_open(dev_t *device);

/*
 * Checks that the directory `fd`, open with O_PATH, is a tmpfs. Returns 0, and its device in
 * *device.
 * -ENOENT: it is no tmpfs.
 */
int ipcfs_shm_mount_check(int fd, dev_t *device);

#endif
