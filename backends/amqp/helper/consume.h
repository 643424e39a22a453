/* SPDX-License-Identifier: MIT */
/*
 * Receiving. A reader that waits has a consumer of its own, which gets one message: prefetch is 1,
 * and the consumer is cancelled before the message is settled.
 */
#ifndef IPCFS_AMQP_CONSUME_H
#define IPCFS_AMQP_CONSUME_H

#include "backends/amqp/helper/queue.h"

/* Takes GET, WANT, ACK, BACK or DEAD. */
void ipcfs_amqp_consume_record(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       const struct ipcfs_amqp_record *record);

/* Takes a method of the broker: get-empty, cancel or cancel-ok. */
void ipcfs_amqp_consume_method(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       const amqp_method_t *method);

/* Takes the whole message in queue->content, from a get or a delivery. */
void ipcfs_amqp_consume_message(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue);

/* Has the consumers of a queue's channel wait on another one. */
void ipcfs_amqp_consume_move(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *from,
			     struct ipcfs_amqp_queue *to);

/* Returns the number of a consumer's tag; 0: it is none of this program. */
uint32_t ipcfs_amqp_consumer_of(amqp_bytes_t tag);

#endif
