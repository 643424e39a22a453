/* SPDX-License-Identifier: MIT */
/*
 * A process that unmounts the mount of an ordinary user with fusermount3. The daemon can't do that
 * itself: it has given up gaining privileges, which it would need for a set-user-id program.
 */
#ifndef IPCFS_UNMOUNTER_H
#define IPCFS_UNMOUNTER_H

#include <sys/types.h>

struct ipcfs_unmounter {
	int fd;	       /* a byte makes the process unmount, closing ends it; -1: none */
	pid_t process; /* a child of the daemon */
};

/*
 * Forks a process for the mount at `path`. It keeps no other descriptors open, and ends with the
 * daemon. Call while there is only one thread. Errors of pipe2(2) and fork(2).
 */
int ipcfs_unmounter_start(const char *path, struct ipcfs_unmounter *unmounter);

/* Lets the process unmount, and waits for the result. -EPERM: it failed. */
int ipcfs_unmounter_detach(struct ipcfs_unmounter *unmounter);

/* Ends the process, if there is one. */
void ipcfs_unmounter_end(struct ipcfs_unmounter *unmounter);

#endif
