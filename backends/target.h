/* SPDX-License-Identifier: MIT */
/*
 * Another process, whose IPC namespace and /dev/shm are wanted. It is held by descriptors, so that
 * no other process that gets its number can take its place.
 */
#ifndef IPCFS_TARGET_H
#define IPCFS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ipcfs_target {
	int pidfd; /* readable once the process has ended */
	int proc;  /* its directory in /proc, with O_PATH */
};

#define IPCFS_TARGET_AUTO __attribute__((cleanup(ipcfs_target_close)))
#define IPCFS_TARGET_NONE ((struct ipcfs_target){ .pidfd = -1, .proc = -1 })

/*
 * Open the process with this number in our pid namespace. -ESRCH: there is none, or it has ended;
 * -EINVAL: it is a kernel thread, or a thread that does not lead its process; -ENOENT: /proc does not
 * show it.
 */
int ipcfs_target_open(pid_t pid, struct ipcfs_target *target);

/*
 * A process or thread that is in this IPC namespace (an inode number; 0: it waits for us, and is known to be); there is no pidfd then. -ENOENT: it is not, or
 * there is none; -ENOMEM, -EMFILE.
 */
int ipcfs_target_find(pid_t tid, uint64_t inode, struct ipcfs_target *target);
void ipcfs_target_close(struct ipcfs_target *target);

/*
 * Join its IPC namespace: this thread, and those it makes, for good. -EPERM: that takes
 * CAP_SYS_ADMIN, in our user namespace and in the one that owns the IPC namespace; -ESRCH: it has ended.
 */
int ipcfs_target_join(const struct ipcfs_target *target);

/*
 * A descriptor (O_PATH) of its /dev/shm, and the device; -1 where there is none that may be shown.
 * What is there is the container's to choose, so it counts only if the path leads there without a
 * link, if it is a tmpfs, and if its mode shows that it is meant for everybody, or for this user. No file system but a
 * tmpfs is asked for anything. is_known: is this the device of a tmpfs that is open? That saves a look at all mounts.
 */
int ipcfs_target_shm(const struct ipcfs_target *target, bool (*is_known)(dev_t device),
		     dev_t *device);

#endif
