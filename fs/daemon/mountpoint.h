/* SPDX-License-Identifier: MIT */
/* The mount point: whether it can be used, what is mounted there, and how to unmount. */
#ifndef IPCFS_MOUNTPOINT_H
#define IPCFS_MOUNTPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Checks that something can be mounted on `path`. Unmounts dead ipcfs mounts there, and logs that.
 * *resolved is the absolute path without symbolic links, to be freed by the caller. Waits for a
 * file system there that does not answer. Errors are logged:
 *   -ENOENT, -ENOTDIR and others of stat(2).
 *   -EBUSY: a living ipcfs is mounted there, or too many dead ones.
 *   -ENOTCONN: another dead file system is mounted there.
 */
int ipcfs_mountpoint_prepare(const char *path, char **resolved);

/*
 * Checks the same as ipcfs_mountpoint_prepare, and changes nothing: dead ipcfs mounts stay. Errors
 * are logged, and the same.
 */
int ipcfs_mountpoint_check(const char *path);

/*
 * Makes the kernel follow no symbolic link of the mount at `path`, which is one of ipcfs. Takes
 * CAP_SYS_ADMIN. Errors of mount(2).
 */
int ipcfs_mountpoint_forbid_links(const char *path, bool read_only);

/*
 * Returns the number of the mount that is on top at `path`; it is never used for another mount. 0:
 * the kernel has no such numbers (before Linux 6.8). Sends no request to a file system.
 */
uint64_t ipcfs_mountpoint_id(const char *path);

/*
 * Reads the number that the mount of an open file has in /proc/self/mountinfo, and the device
 * number of its file system. Sends no request to it. Errors of stat(2).
 */
int ipcfs_mountpoint_of(int fd, uint64_t *number, dev_t *device);

/*
 * Reads of the ipcfs that is mounted on top at `path` the device number, and the user who mounted
 * it, as the kernel tells. Sends no request to it.
 * -EINVAL: no ipcfs is mounted there.
 * Errors of open(2).
 */
int ipcfs_mountpoint_owner(const char *path, dev_t *device, uid_t *owner);

/* Returns the device number of the mount on top at `path`, without asking it. 0: unknown. */
dev_t ipcfs_mountpoint_device(const char *path);

/* Tells whether this process can mount and unmount itself (CAP_SYS_ADMIN), without fusermount3. */
bool ipcfs_mountpoint_privileged(void);

/*
 * Unmounts what is on top at `path`, even while files are open, by umount2(2) alone. Where the
 * process may force it, every request that has no answer fails, though a child of the daemon that
 * is frozen still has /dev/fuse open. Safe in a signal handler.
 *   Errors of umount2(2).
 */
int ipcfs_mountpoint_umount(const char *path);

/*
 * Does the same, by fusermount3 where the process may not.
 *   -EPERM: the process may not, and fusermount3 failed.
 *   -EINVAL: nothing is mounted there.
 */
int ipcfs_mountpoint_detach(const char *path);

#endif
