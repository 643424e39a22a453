/* SPDX-License-Identifier: MIT */
/*
 * A request's visit to an IPC namespace, in a mount that shows all of them: may its caller be there at all? Then the thread
 * that handles it acts in there.
 */
#ifndef IPCFS_VISIT_H
#define IPCFS_VISIT_H

#include "core.h"

/*
 * Before a request, as it was read from /dev/fuse, is handled: 0, or what it is to be refused with. -EACCES: its caller may
 * not use that namespace; -ENOENT, -EIDRM: it has ended; -ENOMEM.
 */
int ipcfs_visit_begin(struct ipcfs_filesystem *fs, const void *request, size_t size);

/* After it, also where it was refused, and when a signal came while there was none. */
void ipcfs_visit_end(void);

/* The thread handles no more. */
void ipcfs_visit_leave(void);

/* The IPC namespace (an inode number) that the request being handled by this thread is about; 0: none, or the only one. */
uint64_t ipcfs_visited(void);

#endif
