/* SPDX-License-Identifier: MIT */
/* Which IPC namespace a thread is in: the side of thread_ns.c that only space.c calls. */
#ifndef IPCFS_THREAD_NS_H
#define IPCFS_THREAD_NS_H

#include "backends/contract/contract.h"

/*
 * Remembers the process's IPC namespace as home, and makes an empty one. Called once, while the
 * process has one thread.
 * Errors of open(2), unshare(2) and setns(2).
 */
int ipcfs_thread_ns_start(void);

/*
 * Returns the space whose IPC namespace this thread acts in. NULL: home. It belongs to whoever made
 * the thread enter it.
 */
const struct ipcfs_space *ipcfs_space_here(void);

/*
 * Makes the only thread of a process that was forked act in the space's IPC namespace for good.
 * NULL: at home.
 * Errors of setns(2).
 */
int ipcfs_thread_ns_join(const struct ipcfs_space *space);

/* Makes a descriptor of an IPC namespace one of the empty namespace. */
void ipcfs_thread_ns_empty(int ns);

/*
 * Makes a space's namespace worker, and the list of visitors. The worker's thread starts with the
 * first ipcfs_space_run. NULL: no memory.
 */
struct ipcfs_ns_worker *ipcfs_ns_worker_new(void);

/* Makes all visitors of a namespace that has ended go home. Waits for them, a second at most. */
void ipcfs_ns_worker_evict(struct ipcfs_ns_worker *worker);

/* Ends the worker's thread, if it was started. From now on, none is started. */
void ipcfs_ns_worker_end(struct ipcfs_ns_worker *worker);

/* Ends the worker and frees it. NULL: does nothing. */
void ipcfs_ns_worker_free(struct ipcfs_ns_worker *worker);

#endif
