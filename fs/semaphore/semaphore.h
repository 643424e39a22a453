/* SPDX-License-Identifier: MIT */
/*
 * The files of semaphores: a read shows values, and a write does what the file is named for.
 * Called by ops/, through the table of operations, and by control/ for status.
 * Calls wait/ and below. Knows neither queues nor segments.
 *
 * An open of hold, tryhold or monitor for writing takes 1 from the semaphore until the last close.
 */
#ifndef IPCFS_SEMAPHORE_H
#define IPCFS_SEMAPHORE_H

#include "fs/request/file_ops.h"

extern const struct ipcfs_file_ops ipcfs_semaphore_file_ops;

/*
 * Appends the lines of status about values, if the request's caller may read, and those about
 * holders and waiters. Appends nothing if the daemon itself may not open the semaphore.
 * -ENOENT: the semaphore is gone.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM
 */
int ipcfs_semaphore_status(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out);

/* What a caller of a semaphore waits for. */
enum ipcfs_semaphore_wait {
	IPCFS_WAITS_WAIT, /* to take it by `wait` */
	IPCFS_WAITS_ZERO,
	IPCFS_WAITS_HOLD,
	IPCFS_WAITS_MONITOR,
	IPCFS_WAITS_OP,
	IPCFS_SEMAPHORE_WAITS, /* the number of them */
};

/* Their words in status. */
extern const char *const ipcfs_semaphore_waits[IPCFS_SEMAPHORE_WAITS];

/* Adds to `waiting` how many callers wait for each, as status shows them. */
void ipcfs_semaphore_count_waiting(struct ipcfs_waits *waits, const struct ipcfs_object *object,
				   uint64_t waiting[IPCFS_SEMAPHORE_WAITS]);

#endif
