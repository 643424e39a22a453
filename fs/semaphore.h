/* SPDX-License-Identifier: MIT */
/*
 * The files of semaphores. Reading shows the value; writing does what the file is named for, and
 * so does opening hold and tryhold for writing.
 */
#ifndef IPCFS_SEMAPHORE_H
#define IPCFS_SEMAPHORE_H

#include "room.h"

/* As ipcfs_channel_open and its kin. What hold takes is taken by ipcfs_hold_open, which comes next. */
int ipcfs_semaphore_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open);
void ipcfs_semaphore_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open);

/* Requests; each is answered here, now or later. */
void ipcfs_semaphore_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			   int flags, uint64_t owner);
void ipcfs_semaphore_flush(fuse_req_t req, struct ipcfs_open *open, uint64_t owner);

/* What reading shows now. -EIDRM, -ENOMEM. */
int ipcfs_semaphore_text(const struct ipcfs_open *open, struct ipcfs_text *out);

/* Append what status shows besides the object's own lines: values to readers, who holds and who waits. */
int ipcfs_semaphore_status(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out);

/*
 * hold.c: take one, now or when it can be had, and answer the open. On failure `open` is freed. With the
 * last close it is given back.
 */
void ipcfs_hold_open(fuse_req_t req, struct ipcfs_open *open, int flags);
void ipcfs_hold_release(struct ipcfs_open *open);

/* Append the lines about holders. */
int ipcfs_hold_status(struct ipcfs_object *object, int handle, struct ipcfs_text *out);

/* A waiter for these operations (of struct ipcfs_semaphore_op, in its data), not yet parked. */
void ipcfs_semaphore_start(struct ipcfs_waiter *waiter, fuse_req_t req, struct ipcfs_open *open);

/* Do it now, or park it; its answer is called here or later. */
void ipcfs_semaphore_go(struct ipcfs_waiter *waiter, bool nonblock);

#endif
