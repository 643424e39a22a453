/* SPDX-License-Identifier: MIT */
/*
 * Leases. The broker takes back all messages of a channel when one of them was not settled for too
 * long, and a message can't change its channel. So the queue does: a lease keeps the channel on
 * which its message came, and what comes later uses another one. A channel whose lease has ended is
 * spare, and the next lease of the queue takes it, so that a worker's loop opens none.
 */
#ifndef IPCFS_AMQP_LEASE_H
#define IPCFS_AMQP_LEASE_H

#include "backends/amqp/helper/queue.h"

/* Takes LEASE. */
void ipcfs_amqp_lease_take(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			   uint64_t number);

/*
 * Frees a queue whose channel the broker has closed, and says LOST of its leases. Returns false,
 * without doing so, if the whole queue has to end.
 */
bool ipcfs_amqp_lease_closed(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			     int error, amqp_bytes_t text);

#endif
