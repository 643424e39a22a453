/* SPDX-License-Identifier: MIT */
/* Frames of the broker and records of the daemon: which function takes which. */
#ifndef IPCFS_AMQP_CHANNEL_H
#define IPCFS_AMQP_CHANNEL_H

#include "backends/amqp/helper/helper.h"

/* Opens the channels for questions. Call once after the log-in. */
void ipcfs_amqp_channel_start(struct ipcfs_amqp_helper *helper);

/* Takes a frame of the broker. */
void ipcfs_amqp_channel_frame(struct ipcfs_amqp_helper *helper, const amqp_frame_t *frame);

/* Takes a record of the daemon, after LOGIN. The packet's descriptor stays the caller's. */
void ipcfs_amqp_channel_record(struct ipcfs_amqp_helper *helper,
			       const struct ipcfs_amqp_packet *packet);

#endif
