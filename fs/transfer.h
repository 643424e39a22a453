/* SPDX-License-Identifier: MIT */
/* Moving messages between a queue and a waiter's bytes: the attempts behind reads and writes. */
#ifndef IPCFS_TRANSFER_H
#define IPCFS_TRANSFER_H

#include "room.h"

/* Where a received message stands in waiter->data, without the tag and newline it is shown with. */
struct ipcfs_taken {
	long type;
	size_t start, size;
};

/* A read of this many bytes or more takes as many whole messages as are there. */
#define IPCFS_BATCH (64 * 1024)

/*
 * Attempts for struct ipcfs_waiter. Receive returns 0 with data and taken filled. Send returns 0 when
 * all whole messages in data were sent (`sent` says how far it got, also on errors); what is left behind
 * `sent` is an unfinished line.
 */
ssize_t ipcfs_transfer_receive(struct ipcfs_waiter *waiter, bool wait);
ssize_t ipcfs_transfer_send(struct ipcfs_waiter *waiter, bool wait);

/* The waiter gets an empty message that somebody else received. 0, -ENOMEM, or why it may not have it. */
int ipcfs_transfer_accept(struct ipcfs_waiter *waiter, long type);

/* Everything the waiter received goes back to the tail of the queue, and `returned` counts it. */
void ipcfs_transfer_give_back(struct ipcfs_waiter *waiter);

/* Put one message at the tail; where the queue is full it waits, detached. */
void ipcfs_transfer_put_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type,
			     const char *text, size_t size);

/*
 * Send the messages of a detached waiter's data, now or when there is room. `waiter` needs fs, object,
 * data, type, framing and last; it is void afterwards. `counted` is obeyed: -EAGAIN when the uid has too many
 * waiters, then data stays the caller's.
 */
int ipcfs_transfer_detached(struct ipcfs_waiter *waiter);

/* Free what a waiter holds. */
void ipcfs_transfer_clear(struct ipcfs_waiter *waiter);

#endif
