/* SPDX-License-Identifier: MIT */
/* The thread of a connection. */
#ifndef IPCFS_AMQP_LINK_H
#define IPCFS_AMQP_LINK_H

struct ipcfs_amqp_connection;

/* Prepares the fields of a connection that the thread uses. -EMFILE, -ENOMEM. */
int ipcfs_amqp_link_init(struct ipcfs_amqp_connection *connection);

/* Starts and ends the thread. Errors of pthread_create(3). */
int ipcfs_amqp_link_start(struct ipcfs_amqp_connection *connection);
void ipcfs_amqp_link_stop(struct ipcfs_amqp_connection *connection);

#endif
