/* SPDX-License-Identifier: MIT */
/*
 * How often messages were handed out that came back to their queue from a lease. A message of the
 * kernel has no identity, so one is known by its type, size and content: equal messages share a
 * count. The object of a queue has a few, and forgets the one that came back first. Those who sent
 * a message back are charged for its count.
 *
 * Call each function with the lock of object->queue held, but the last one.
 */
#ifndef IPCFS_DELIVERIES_H
#define IPCFS_DELIVERIES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_DELIVERIES_MAX 64 /* of one queue */

struct ipcfs_quota;

/* What is known of a message. */
struct ipcfs_message_mark {
	long type;
	size_t size;   /* bytes of its text */
	uint64_t hash; /* of its text */
};

struct ipcfs_delivery {
	struct ipcfs_message_mark mark;
	uint64_t count;
	uid_t uid; /* who is charged */
};

struct ipcfs_deliveries {
	struct ipcfs_delivery *items; /* owned; the one that came back first is the first */
	size_t count;
};

/* Returns what marks a message. Pure. */
struct ipcfs_message_mark ipcfs_message_mark(long type, const char *text, size_t size);

/* Returns how often the message was handed out. 0: it is not known. */
uint64_t ipcfs_deliveries_of(const struct ipcfs_deliveries *deliveries,
			     const struct ipcfs_message_mark *mark);

/*
 * Notes that the message came back, and was handed out so often. Notes nothing without memory, or
 * if the uid has reached max_bytes. `quota` may be NULL: nobody is charged.
 */
void ipcfs_deliveries_note(struct ipcfs_deliveries *deliveries,
			   const struct ipcfs_delivery *delivery, struct ipcfs_quota *quota);

/* Forgets the message, if it is known: it is done. */
void ipcfs_deliveries_drop(struct ipcfs_deliveries *deliveries,
			   const struct ipcfs_message_mark *mark, struct ipcfs_quota *quota);

/* Forgets all. */
void ipcfs_deliveries_free(struct ipcfs_deliveries *deliveries, struct ipcfs_quota *quota);

#endif
