/* SPDX-License-Identifier: MIT */
/*
 * What queue_ops.c and taken.c do with handles. Call all functions but the last ones with the
 * connection's lock held.
 */
#ifndef IPCFS_AMQP_HANDLE_H
#define IPCFS_AMQP_HANDLE_H

#include "backends/amqp/connection.h"

/* Sends a record on the pair. -EHOSTDOWN: there is none, or it has failed. */
int ipcfs_amqp_tell(struct ipcfs_amqp_handle *handle, const struct ipcfs_amqp_record *record,
		    const void *body);

/* Notes that an answer or the connection is waited for, from now on unless it is already. */
void ipcfs_amqp_silent(struct ipcfs_amqp_handle *handle);

/* Settles a message by an ACK, BACK or DEAD. */
void ipcfs_amqp_settle(struct ipcfs_amqp_handle *handle, enum ipcfs_amqp_type type,
		       uint64_t number);

/* Asks for the next message that comes, or for none. */
void ipcfs_amqp_set_want(struct ipcfs_amqp_handle *handle, bool want);

/* Frees a delivery, which is in no list any more. */
void ipcfs_amqp_delivery_free(struct ipcfs_amqp_handle *handle,
			      struct ipcfs_amqp_delivery *delivery);

/* Frees the body of a delivery: a reader has a copy. */
void ipcfs_amqp_delivery_free_body(struct ipcfs_amqp_delivery *delivery);

/* Frees a delivery that a reader has taken. */
void ipcfs_amqp_taken_free(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_delivery *delivery);

/* Takes over a message with body, size and priority, and sends it. Returns -EINPROGRESS. */
int ipcfs_amqp_put_add(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put);

/* Returns whether `sent` has a result for a message of the handle. */
bool ipcfs_amqp_is_answered(const struct ipcfs_amqp_handle *handle);

/*
 * Forgets a message. One that ipcfs-amqp has takes a place there until the answer comes, so that it
 * counts for IPCFS_AMQP_PUTS_MAX until then.
 */
void ipcfs_amqp_put_forget(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put);

/* Frees a message that ipcfs-amqp does not have. */
void ipcfs_amqp_put_free(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put);

/* Returns the handle of this number, which is open, and takes its connection's lock. */
struct ipcfs_amqp_handle *ipcfs_amqp_enter(int number);

/* Releases the lock of the handle's connection. */
void ipcfs_amqp_leave(struct ipcfs_amqp_handle *handle);

/* taken.c: operations of struct ipcfs_queue_ops. */
int ipcfs_amqp_confirm(int number, uint64_t token);
void ipcfs_amqp_give_back(int number, uint64_t token);
int ipcfs_amqp_lease(int number, uint64_t token, struct ipcfs_text *about, uint64_t *deliveries);
int ipcfs_amqp_lease_settle(int number, uint64_t token, enum ipcfs_settlement how);

#endif
