/* SPDX-License-Identifier: MIT */
/* How those who wait learn that a handle is ready. */
#include <sys/eventfd.h>
#include <utlist.h>

#include "backends/amqp/connection.h"

#define AT_ONCE 32 /* handles that are told of in one round; of others their descriptor tells */

/* The largest value of an eventfd, with which it is not writable. */
#define COUNTER_FULL 0xfffffffffffffffeULL

/* Sets the event. A sender's is ready when it is empty, a receiver's when it is full. */
static void set_event(struct ipcfs_amqp_handle *handle, bool ready)
{
	eventfd_t count;

	if (handle->is_ready == ready)
		return;
	handle->is_ready = ready;
	if (ready == (handle->direction == IPCFS_SEND))
		(void)eventfd_read(handle->event, &count);
	else
		(void)eventfd_write(handle->event, COUNTER_FULL);
}

void ipcfs_amqp_ready(struct ipcfs_amqp_handle *handle)
{
	if (handle->connection->in_round)
		handle->to_ready = true;
	else
		set_event(handle, true);
}

void ipcfs_amqp_unready(struct ipcfs_amqp_handle *handle)
{
	handle->to_ready = false;
	set_event(handle, false);
}

void ipcfs_amqp_end_round(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_handle *handle;

	connection->in_round = false;
	DL_FOREACH (connection->handles, handle) {
		if (handle->to_ready)
			set_event(handle, true);
		handle->to_ready = false;
	}
}

void ipcfs_amqp_tell_ready(struct ipcfs_amqp_connection *connection)
{
	int ready[AT_ONCE], count = 0;
	struct ipcfs_amqp_handle *handle;

	DL_FOREACH (connection->handles, handle)
		if (handle->to_ready && count < AT_ONCE)
			ready[count++] = handle->event;
	if (!connection->ready || !count)
		return;
	connection->in_round = false;
	pthread_mutex_unlock(&connection->lock);
	for (int i = 0; i < count; i++)
		connection->ready(connection->ready_arg, ready[i]);
	pthread_mutex_lock(&connection->lock);
}
