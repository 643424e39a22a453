/* SPDX-License-Identifier: MIT */
/*
 * Detached waiters in the ledger (base/ledger.h): the messages that the daemon sends by itself, as
 * a worker writes them down for its successor. An entry is there from the moment on at which nobody
 * else has the message: the request that had it has handed it over, or the open file its lease.
 */
#ifndef IPCFS_DETACHED_H
#define IPCFS_DETACHED_H

#include "fs/base/slot.h"
#include "fs/queue/queue_waiter.h"

/* The entry of a message: this, and its bytes. */
struct ipcfs_detached {
	uint64_t unique; /* of the request that has handed it over; 0: none has */
	uint64_t order;	 /* of a later message it is higher */
	uint64_t kept;
	int64_t type;
	uint32_t calls; /* the hand-over is the call of the request that comes after so many */
	uint32_t object;
	uint32_t uid;
	uint8_t framing;
	bool last, first, returns;
	struct ipcfs_effects effects; /* of sending it */
};

/* Adds the layout of the entry to a hash: see layout.h. */
uint64_t ipcfs_detached_layout(uint64_t hash);

/*
 * Writes the message of the waiter down, and notes that in waiter->saved. Without memory, without a
 * successor, and for a queue that is in no namespace it does nothing.
 */
void ipcfs_detached_save(struct ipcfs_queue_waiter *waiter);

/*
 * Does so for a message of this thread's request, and counts the hand-over as a call of it. Returns
 * false if a worker before has handed the message over.
 */
bool ipcfs_detached_hand_over(struct ipcfs_queue_waiter *waiter);

/* Returns where the effect of sending the message is noted. NULL: nowhere. */
struct ipcfs_effects *ipcfs_detached_effects(const struct ipcfs_queue_waiter *waiter);

/* Drops the entry of a message, if it has one. */
void ipcfs_detached_drop(struct ipcfs_queue_waiter *waiter);

#endif
