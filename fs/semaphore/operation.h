/* SPDX-License-Identifier: MIT */
/* Semaphore operations as requests: done at once, or parked until they can be done. */
#ifndef IPCFS_OPERATION_H
#define IPCFS_OPERATION_H

#include "fs/wait/waiter.h"

struct ipcfs_hold;

struct ipcfs_semaphore_waiter {
	struct ipcfs_waiter base; /* at the start: all that the wait room knows */
	size_t size;		  /* of the write, bytes */
	struct ipcfs_text ops;	  /* of struct ipcfs_semaphore_op, which are done all at once */
	struct ipcfs_hold
		*hold; /* owned; the hold that the operations take; NULL: they take none */
};

/* Returns the semaphore waiter that this waiter is part of. */
static inline struct ipcfs_semaphore_waiter *ipcfs_semaphore_waiter(struct ipcfs_waiter *waiter)
{
	return (struct ipcfs_semaphore_waiter *)(void *)waiter;
}

/* Returns a waiter for this request, without operations. `ops` is what the waiter does. */
struct ipcfs_semaphore_waiter ipcfs_operation_begin(fuse_req_t req, struct ipcfs_file *file,
						    const struct ipcfs_waiter_ops *ops);

/*
 * Attempts all operations at once, or does none. For struct ipcfs_waiter_ops.
 * -EACCES: the opener may not do the operations.
 * The errors of operate in struct ipcfs_semaphore_ops, -EAGAIN among them.
 */
ssize_t ipcfs_operation_attempt(struct ipcfs_waiter *waiter, bool wait);

/*
 * Does the operations now and answers, or parks the waiter unless `nonblock`. A waiter that is not
 * `unordered` stands behind those that were parked before it, and tries nothing before.
 */
void ipcfs_operation_run(struct ipcfs_semaphore_waiter *waiter, bool nonblock);

/*
 * Tells whether the caller of a waiter that was parked was interrupted before the answer, so that
 * nobody would give back what it took.
 */
bool ipcfs_operation_is_interrupted(const struct ipcfs_semaphore_waiter *waiter);

/*
 * Reverts the operations of a waiter that was parked, if its caller was killed before the answer:
 * nobody would give back what it took. Only operations that all take are reverted, since to
 * give back is always possible. Returns whether they were reverted.
 */
bool ipcfs_operation_revert(struct ipcfs_semaphore_waiter *waiter);

#endif
