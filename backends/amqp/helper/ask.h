/* SPDX-License-Identifier: MIT */
/*
 * Questions about queues, each asked on a channel where nothing else happens: the broker answers
 * with an error by closing the channel.
 */
#ifndef IPCFS_AMQP_ASK_H
#define IPCFS_AMQP_ASK_H

#include "backends/amqp/helper/helper.h"

/* The answer to a question. text: what the broker said. state: of the queue, or NULL. */
struct ipcfs_amqp_outcome {
	int error; /* see IPCFS_AMQP_ANSWER */
	amqp_bytes_t text;
	const amqp_queue_declare_ok_t *state;
};

/* Takes the outcome of ipcfs_amqp_ask_self. */
typedef void ipcfs_amqp_looked(struct ipcfs_amqp_helper *helper, uint32_t queue, uint64_t put,
			       const struct ipcfs_amqp_outcome *outcome);

/* Opens the channels for questions. */
void ipcfs_amqp_ask_start(struct ipcfs_amqp_helper *helper, ipcfs_amqp_looked *looked);

/* Asks a question of the daemon: LOOK, MAKE or REMOVE. */
void ipcfs_amqp_ask(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_packet *packet);

/*
 * Looks whether a queue of this name exists, for a PUT of the queue of this number.
 */
void ipcfs_amqp_ask_self(struct ipcfs_amqp_helper *helper, amqp_bytes_t name, uint32_t queue,
			 uint64_t put);

/* Takes a method that the broker sent on a channel for questions. */
void ipcfs_amqp_ask_method(struct ipcfs_amqp_helper *helper, amqp_channel_t channel,
			   const amqp_method_t *method);

#endif
