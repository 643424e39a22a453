/* SPDX-License-Identifier: MIT */
/*
 * The detached waiters that a worker has left in the ledger (detached.h): its successor sends on.
 */
#ifndef IPCFS_DETACHED_LEFT_H
#define IPCFS_DETACHED_LEFT_H

#include "fs/tree/state.h"

/*
 * Takes a reference to the object of each message, and drops the entries of messages that a request
 * or a lease has still. Call when objects and open files are made anew.
 */
void ipcfs_detached_hold(struct ipcfs_filesystem *fs);

/*
 * Sends the messages, in the order in which they were left, now or when their queues have room.
 * Call when the wait room has started, and before requests are handled again.
 */
void ipcfs_detached_send_left(struct ipcfs_filesystem *fs);

#endif
