/* SPDX-License-Identifier: MIT */
/*
 * Leases: a read of `lease` takes a message out of its queue, and the open file has it until a
 * verdict is written or the file is closed for the last time. A message without a verdict goes back
 * to its queue. A lease is a rest (file->text) that is kept when it was read.
 *
 * Queues of the kernel have no place for such a message: the daemon sends one that goes back, and
 * has it kept (`keep`) for its own end. A broker has a place: it is told of the lease (`lease`) and
 * of the verdict (`settle`), and has the message again by itself when it loses the daemon. Behind
 * the message, file->text has then what the broker says about it.
 */
#ifndef IPCFS_LEASE_H
#define IPCFS_LEASE_H

#include "fs/queue/queue_waiter.h"

/* The operations of a read of lease. */
extern const struct ipcfs_waiter_ops ipcfs_lease_read_ops;

/* Returns whether the file has a leased message. */
bool ipcfs_lease_is_held(struct ipcfs_file *file);

/*
 * Ends the lease of a file that has one. Its message is done, or was sent elsewhere. `answer`: what
 * the write gets that says so, bytes.
 */
void ipcfs_lease_end(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t answer);

/* Ends the lease of a file that has one. A class with `lease` has the message again. */
void ipcfs_lease_taken_back(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/*
 * Gives what the file has leased, if anything, back to its queue. Call while the file's handles are
 * open. `answer`: what the write gets that says so, bytes; 0: there is none.
 */
void ipcfs_lease_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t answer);

/*
 * Goes on with what a file had leased, if anything, when the worker before died: file->queue.lease
 * is in no list yet, or ended meanwhile. Call with the file's handles open, while there is one
 * thread. -ENOMEM.
 */
int ipcfs_lease_restore(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/* Forgets the message of such a file instead, whose queue is gone. */
void ipcfs_lease_drop(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/*
 * Returns how often the message was handed out that a file of this node has. 0: none has one, or
 * the queue does not count.
 */
uint64_t ipcfs_lease_deliveries(struct ipcfs_object *object, uint64_t node);

/* Returns how many messages of the queue are leased. Linear in them. */
size_t ipcfs_lease_count(struct ipcfs_object *object);

/*
 * Appends the lines of status about leases.
 * -ENOMEM
 */
int ipcfs_lease_status(struct ipcfs_object *object, struct ipcfs_text *out);

#endif
