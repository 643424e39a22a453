/* SPDX-License-Identifier: MIT */
/*
 * Entering the IPC namespace of a request, in a mount that shows all namespaces: judges the
 * caller, and moves the thread that handles the request into the namespace. In other mounts
 * nothing happens.
 */
#ifndef IPCFS_NS_ENTRY_H
#define IPCFS_NS_ENTRY_H

#include "fs/tree/state.h"

/*
 * Prepares this thread for a request, which is as it was read from /dev/fuse. After an error the
 * request is answered already.
 * -EACCES: the caller may not use the namespace.
 * -ENOENT: the namespace has ended, and the request is on a path.
 * -EIDRM: the namespace has ended, and the request is on an open file.
 * -ENOMEM.
 */
int ipcfs_ns_enter(struct ipcfs_filesystem *fs, const void *request, size_t size);

/*
 * Ends what ipcfs_ns_enter began. Called after each request, also after a refused one, and when a
 * signal has interrupted the wait for the next one.
 */
void ipcfs_ns_request_done(void);

/* Moves the thread home, before it ends. */
void ipcfs_ns_leave(void);

/*
 * Returns the inode number of the IPC namespace of the request that this thread handles. 0: the
 * request is on nothing in a namespace, or the mount shows only one.
 */
uint64_t ipcfs_ns_entered(void);

#endif
