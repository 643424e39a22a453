/* SPDX-License-Identifier: MIT */
/* The thread of a connection. */
#ifndef IPCFS_AMQP_LINK_H
#define IPCFS_AMQP_LINK_H

#include "backends/contract/amqp.h"

struct ipcfs_amqp_connection;

/* Prepares the fields of a connection that the thread uses. -EMFILE, -ENOMEM. */
int ipcfs_amqp_link_init(struct ipcfs_amqp_connection *connection);

/* Starts and ends the thread, which calls `ready`. Errors of pthread_create(3). */
int ipcfs_amqp_link_start(struct ipcfs_amqp_connection *connection, ipcfs_amqp_ready_hook *ready,
			  void *arg);
void ipcfs_amqp_link_stop(struct ipcfs_amqp_connection *connection);

#endif
