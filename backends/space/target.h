/* SPDX-License-Identifier: MIT */
/*
 * The process whose IPC namespace or /dev/shm is to be opened. It is held by descriptors, as its
 * number could be given to another process.
 */
#ifndef IPCFS_TARGET_H
#define IPCFS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ipcfs_target {
	int pidfd; /* readable once the process has ended; -1: none */
	int proc;  /* its directory in /proc, open with O_PATH */
};

#define IPCFS_TARGET_AUTO __attribute__((cleanup(ipcfs_target_close)))
#define IPCFS_TARGET_NONE ((struct ipcfs_target){ .pidfd = -1, .proc = -1 })

/*
 * Opens the process with this number in the daemon's pid namespace. *target has to be closed.
 * -ESRCH: there is no such process, or it has ended.
 * -EINVAL: it is a kernel thread, or a thread that does not lead its process.
 * -ENOENT: /proc does not show it.
 */
int ipcfs_target_open(pid_t pid, struct ipcfs_target *target);

/*
 * Opens a thread that is in the IPC namespace `inode`, without a pidfd. 0: any namespace, as the
 * thread is waiting for the daemon's reply and keeps its tid. *target has to be closed.
 * -ENOENT: there is no such thread, or it is in another namespace.
 * -ENOMEM, -EMFILE, -ENFILE.
 */
int ipcfs_target_find(pid_t tid, uint64_t inode, struct ipcfs_target *target);

/* Closes both descriptors. */
void ipcfs_target_close(struct ipcfs_target *target);

/*
 * Makes this thread, and those that it makes from now on, join the IPC namespace of the process,
 * for good.
 * -EPERM: this needs CAP_SYS_ADMIN in the daemon's user namespace and in the one that owns the IPC
 * namespace.
 * -ESRCH: the process has ended.
 */
int ipcfs_target_join(const struct ipcfs_target *target);

/*
 * Opens the /dev/shm of the process with O_PATH. Returns the descriptor, to be closed, and its
 * device in *device. -1: there is none that may be shown; errno then tells of a lack of descriptors
 * or memory.
 *
 * A container chooses what is at /dev/shm. It may be shown if the path contains no link, if it is a
 * tmpfs, and if its mode is that of a /dev/shm for everybody, or it is readable and belongs to the
 * process's user. No other file system than a tmpfs is asked for anything: it might not answer.
 * `is_known` returns whether a device is a tmpfs that the daemon has open, which saves reading all
 * mounts.
 */
int ipcfs_target_shm(const struct ipcfs_target *target, bool (*is_known)(dev_t device),
		     dev_t *device);

#endif
