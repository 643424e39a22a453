/* SPDX-License-Identifier: MIT */
/* The directory to mount on: may it be used, what is mounted there, taking it off again. */
#ifndef IPCFS_MOUNTPOINT_H
#define IPCFS_MOUNTPOINT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Can something be mounted on `path`? A dead ipcfs mount found there is taken off, and that is
 * logged. 0 and *resolved, the absolute path without symbolic links (to be freed); or after logging
 * why not: -ENOENT, -ENOTDIR, -EBUSY (a living ipcfs is there), -ENOTCONN (another dead file system
 * is there), ... May wait for a file system that does not answer.
 */
int ipcfs_mountpoint_prepare(const char *path, char **resolved);

/* Can /dev/fuse be opened? 0, or a negative errno after logging what is missing. */
int ipcfs_mountpoint_check_device(void);

/*
 * A number for what is mounted on top at `path` that is never used again for another mount.
 * 0 where the kernel has none (before 6.8). Asks no file system.
 */
uint64_t ipcfs_mountpoint_id(const char *path);

/* May this process mount and unmount (CAP_SYS_ADMIN), or does it take the program fusermount3? */
bool ipcfs_mountpoint_privileged(void);

/* Take off what is mounted on top at `path`, files open or not. 0, -EPERM, -EINVAL (nothing). */
int ipcfs_mountpoint_detach(const char *path);

#endif
