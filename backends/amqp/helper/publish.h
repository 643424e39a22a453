/* SPDX-License-Identifier: MIT */
/*
 * Sending. Each message is mandatory and confirmed: without the first, the broker confirms messages
 * for queues that do not exist.
 */
#ifndef IPCFS_AMQP_PUBLISH_H
#define IPCFS_AMQP_PUBLISH_H

#include "backends/amqp/helper/ask.h"
#include "backends/amqp/helper/queue.h"

/* Takes PUT. */
void ipcfs_amqp_publish_put(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			    const struct ipcfs_amqp_packet *packet);

/* Takes a confirm of the broker, for message `tag` or with `multiple` for all before, too. */
void ipcfs_amqp_publish_confirm(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
				uint64_t tag, bool multiple, bool stored);

/* Takes the message in queue->content, which came back. Its confirm follows. */
void ipcfs_amqp_publish_returned(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue);

/* Says why message `number` came back. */
void ipcfs_amqp_publish_looked(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       uint64_t number, const struct ipcfs_amqp_outcome *outcome);

/* Returns the number in a message_id of this source; 0: it is from elsewhere. */
uint64_t ipcfs_amqp_publish_number(const struct ipcfs_amqp_helper *helper, amqp_bytes_t id);

#endif
