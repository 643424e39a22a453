/* SPDX-License-Identifier: MIT */
/*
 * A process that takes an ordinary user's mount off. Only the set-user-id program fusermount3 can,
 * and a daemon that has given up new privileges can't start it any more.
 */
#ifndef IPCFS_UNMOUNTER_H
#define IPCFS_UNMOUNTER_H

#include <sys/types.h>

struct ipcfs_unmounter {
	int fd;	       /* written to, it unmounts; closed, it ends. -1: there is none */
	pid_t process; /* a child of ours */
};

/*
 * Fork one for the mount at `path`. It has nothing of ours open, and ends with us. Call it while
 * there is one thread. 0 or a negative errno.
 */
int ipcfs_unmounter_start(const char *path, struct ipcfs_unmounter *unmounter);

/* Have it unmount, and wait until that was done or has failed. 0, -EPERM. */
int ipcfs_unmounter_detach(struct ipcfs_unmounter *unmounter);

/* It is not needed any more. Nothing happens where there is none. */
void ipcfs_unmounter_end(struct ipcfs_unmounter *unmounter);

#endif
