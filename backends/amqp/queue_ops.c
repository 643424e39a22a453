/* SPDX-License-Identifier: MIT */
/*
 * Sending and receiving. Handles are descriptors: eventfds that are ready when the next call may
 * have another result.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/handle.h"
#include "backends/contract/descriptor.h"

#define PRIORITY_MAX 255

/* The open handles, by their number. */
static struct {
	pthread_mutex_t lock;
	struct ipcfs_amqp_handle **handles;
	int count;
} open_handles = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct ipcfs_amqp_handle *ipcfs_amqp_enter(int number)
{
	struct ipcfs_amqp_handle *handle;

	pthread_mutex_lock(&open_handles.lock);
	handle = open_handles.handles[number];
	pthread_mutex_unlock(&open_handles.lock);
	pthread_mutex_lock(&handle->connection->lock);
	return handle;
}

void ipcfs_amqp_leave(struct ipcfs_amqp_handle *handle)
{
	pthread_mutex_unlock(&handle->connection->lock);
}

/* Notes a handle under the number of its descriptor. -ENOMEM. */
static int list(struct ipcfs_amqp_handle *handle)
{
	struct ipcfs_amqp_handle **more = NULL;
	int count = handle->event + 1, err = 0;

	pthread_mutex_lock(&open_handles.lock);
	if (count > open_handles.count) {
		more = reallocarray(open_handles.handles, (size_t)count,
				    sizeof(struct ipcfs_amqp_handle *));
		err = more ? 0 : -ENOMEM;
	}
	if (more) {
		open_handles.handles = more;
		open_handles.count = count;
	}
	if (!err)
		open_handles.handles[handle->event] = handle;
	pthread_mutex_unlock(&open_handles.lock);
	return err;
}

/* Makes a handle. NULL: no memory, or no descriptor. */
static struct ipcfs_amqp_handle *new_handle(struct ipcfs_amqp_connection *connection,
					    enum ipcfs_direction direction)
{
	struct ipcfs_amqp_handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->connection = connection;
	handle->direction = direction;
	handle->idle = true;
	handle->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	handle->is_ready = direction == IPCFS_SEND;
	if (handle->event >= 0 && !list(handle))
		return handle;
	ipcfs_descriptor_close(&handle->event);
	free(handle);
	return NULL;
}

static int open_queue(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      enum ipcfs_direction direction, int *number)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	struct ipcfs_amqp_handle *handle = new_handle(connection, direction);
	struct ipcfs_amqp_queue *queue;

	if (!handle)
		return -ENOMEM;
	pthread_mutex_lock(&connection->lock);
	queue = ipcfs_amqp_queue_at(connection, ref->serial);
	if (queue) {
		handle->queue = queue;
		queue->handles++;
		DL_APPEND(connection->handles, handle);
		ipcfs_amqp_handle_open(handle);
	}
	pthread_mutex_unlock(&connection->lock);
	if (!queue) {
		ipcfs_descriptor_close(&handle->event);
		free(handle);
		return -ENOENT;
	}
	*number = handle->event;
	return 0;
}

static void close_queue(int number)
{
	const struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_CLOSE };
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_connection *connection = handle->connection;

	(void)ipcfs_amqp_tell(handle, &record, NULL);
	ipcfs_amqp_handle_lost(handle);
	while (handle->taken)
		ipcfs_amqp_taken_free(handle, handle->taken);
	while (handle->puts)
		ipcfs_amqp_put_free(handle, handle->puts);
	DL_DELETE(connection->handles, handle);
	handle->queue->handles--;
	ipcfs_amqp_queue_release(connection, handle->queue);
	ipcfs_amqp_leave(handle);
	ipcfs_descriptor_close(&handle->event);
	free(handle);
}

static int perm(int number, struct ipcfs_perm *perm)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	int err = handle->queue->gone ? -EIDRM : 0;

	*perm = handle->queue->perm;
	ipcfs_amqp_leave(handle);
	return err;
}

static int fstat_queue(int number, struct ipcfs_info *info)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	int err = handle->queue->gone ? -EIDRM : 0;

	info->perm = handle->queue->perm;
	info->messages = handle->queue->messages;
	info->max_message = handle->connection->settings.max_message;
	info->max_bytes = 0;
	ipcfs_amqp_leave(handle);
	return err;
}

/* Returns why the handle can't be used now. */
static int handle_error(const struct ipcfs_amqp_handle *handle)
{
	switch (handle->error) {
	case -EACCES:
	case -EBUSY:
	case -EIO:
		return handle->error;
	default:
		return handle->connection->refused ? -EACCES : -EHOSTDOWN;
	}
}

/* Tells a reader the answer that there is: the queue is empty, or its message is too long. */
static int told(struct ipcfs_amqp_handle *handle)
{
	if (handle->empty) {
		handle->empty = false;
		return -EAGAIN;
	}
	handle->error = 0;
	return -EMSGSIZE;
}

/* Asks for one message, unless that was done. Errors as of receive. */
static int ask(struct ipcfs_amqp_handle *handle)
{
	const struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_GET };
	int err = 0;

	handle->idle = false;
	if (handle->error == -EMSGSIZE || handle->empty) {
		ipcfs_amqp_ready(handle); /* another reader may have waited for this answer, too */
		return told(handle);
	}
	ipcfs_amqp_unready(handle);
	if (!handle->number)
		return handle_error(handle);
	if (handle->wanting)
		return -EAGAIN;
	ipcfs_amqp_silent(handle);
	if (!handle->asked)
		err = ipcfs_amqp_tell(handle, &record, NULL);
	handle->asked = !err;
	return err ? err : -EINPROGRESS;
}

/* Takes the first delivery. The handle stays ready, for a reader that has waited for it, too. */
static ssize_t take(struct ipcfs_amqp_handle *handle, struct ipcfs_message *message,
		    size_t capacity)
{
	struct ipcfs_amqp_delivery *delivery = handle->deliveries;
	ssize_t size = (ssize_t)delivery->size;

	if (delivery->size > capacity)
		return -EMSGSIZE;
	message->type = delivery->priority;
	message->token = delivery->token;
	memcpy(message->text, delivery->body, delivery->size);
	ipcfs_amqp_delivery_free_body(delivery);
	DL_DELETE(handle->deliveries, delivery);
	DL_APPEND(handle->taken, delivery);
	handle->queue->messages -= handle->queue->messages > 0;
	return size;
}

static ssize_t receive(int number, long selector, struct ipcfs_message *message, size_t capacity)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	ssize_t result;

	(void)selector;
	if (handle->queue->gone)
		result = -EIDRM;
	else if (handle->deliveries)
		result = take(handle, message, capacity);
	else
		result = ask(handle);
	ipcfs_amqp_leave(handle);
	return result;
}

static void want(int number)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);

	ipcfs_amqp_set_want(handle, true);
	ipcfs_amqp_leave(handle);
}

static void idle(int number)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);

	handle->empty = false;
	handle->outdated = handle->asked;
	handle->idle = true;
	ipcfs_amqp_set_want(handle, false);
	while (handle->deliveries) {
		struct ipcfs_amqp_delivery *first = handle->deliveries;

		ipcfs_amqp_settle(handle, IPCFS_AMQP_BACK, first->number);
		DL_DELETE(handle->deliveries, first);
		ipcfs_amqp_delivery_free(handle, first);
	}
	ipcfs_amqp_ready(handle); /* a reader that waits only since this call began asks again */
	ipcfs_amqp_leave(handle);
}

/* Returns a copy of a message. NULL: no memory. */
static struct ipcfs_amqp_put *new_put(const struct ipcfs_message *message, size_t size)
{
	struct ipcfs_amqp_put *put = calloc(1, sizeof(*put));

	if (!put)
		return NULL;
	put->body = malloc(size ? size : 1);
	if (!put->body) {
		free(put);
		return NULL;
	}
	memcpy(put->body, message->text, size);
	put->size = size;
	put->priority = (uint8_t)message->type;
	return put;
}

/* Has the writer wait for a place, if `sent` has nothing to tell. Returns -ENOBUFS. */
static int no_place(struct ipcfs_amqp_handle *handle)
{
	handle->crowded = true;
	if (!ipcfs_amqp_is_answered(handle))
		ipcfs_amqp_unready(handle);
	return -ENOBUFS;
}

static int send_queue(int number, struct ipcfs_message *message, size_t size, bool wait)
{
	struct ipcfs_amqp_handle *handle;
	struct ipcfs_amqp_put *put;
	int err, count;

	(void)wait; /* a pollable queue never waits here */
	if (message->type < 0 || message->type > PRIORITY_MAX)
		return -EINVAL;
	handle = ipcfs_amqp_enter(number);
	DL_COUNT(handle->puts, put, count);
	if (size > handle->connection->settings.max_message)
		err = -EMSGSIZE;
	else if (handle->queue->gone)
		err = -EIDRM;
	else if (count >= IPCFS_AMQP_PUTS_MAX)
		err = no_place(handle);
	else
		err = (put = new_put(message, size)) ? ipcfs_amqp_put_add(handle, put) : -ENOMEM;
	if (err == -EINPROGRESS)
		message->token = put->number;
	if (err == -EINPROGRESS && !count)
		ipcfs_amqp_unready(handle); /* nobody waits for a place or an earlier answer */
	ipcfs_amqp_leave(handle);
	return err;
}

/* Returns what became of a message that has no result yet. */
static int pending_result(struct ipcfs_amqp_handle *handle, const struct ipcfs_amqp_put *put)
{
	const struct ipcfs_amqp_connection *connection = handle->connection;

	ipcfs_amqp_unready(handle);
	if (handle->queue->gone)
		return -EIDRM;
	if (put->result == -EHOSTDOWN && !handle->number)
		return handle_error(handle);
	if (put->result == -EINPROGRESS && !put->asked && connection->links[IPCFS_SEND].blocked)
		return -EAGAIN;
	return put->result;
}

static int sent(int number, uint64_t token)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_put *put;
	int result = -ENOENT;

	DL_SEARCH_SCALAR(handle->puts, put, number, token);
	if (put)
		result = put->result;
	if (result == -EINPROGRESS || result == -EAGAIN || result == -EHOSTDOWN)
		result = pending_result(handle, put);
	if (put && result != -EINPROGRESS && result != -EAGAIN && result != -EHOSTDOWN)
		ipcfs_amqp_put_forget(handle, put);
	ipcfs_amqp_leave(handle);
	return result;
}

static void unsend(int number, uint64_t token)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_put *put;

	DL_SEARCH_SCALAR(handle->puts, put, number, token);
	if (put)
		ipcfs_amqp_put_forget(handle, put);
	ipcfs_amqp_leave(handle);
}

static uint64_t patience(int number, uint64_t since)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	uint64_t timeout = handle->connection->settings.timeout, end = 0;

	if (timeout) {
		end = since > handle->silent ? since : handle->silent;
		end += timeout * 1000000000;
		if (!handle->over || end < handle->over)
			handle->over = end;
		ipcfs_amqp_wake(handle->connection);
	}
	ipcfs_amqp_leave(handle);
	return end;
}

/* Returns whether there is a message, as the last look says, and asks for another look. */
static int ready_to_receive(struct ipcfs_amqp_handle *handle)
{
	if (handle->deliveries || handle->queue->messages > 0)
		return POLLIN;
	return 0;
}

static int ready(int number, long selector)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	const struct ipcfs_amqp_link *link = &handle->connection->links[IPCFS_SEND];
	int events;

	(void)selector;
	if (handle->queue->gone)
		events = -EIDRM;
	else if (handle->direction == IPCFS_RECEIVE)
		events = ready_to_receive(handle);
	else
		events = link->up && !link->blocked ? POLLOUT : 0;
	/* else those who wait need to be woken */
	if (!events && handle->idle && !ipcfs_amqp_is_answered(handle))
		ipcfs_amqp_unready(handle);
	if (!events && handle->direction == IPCFS_RECEIVE) {
		handle->polled = true;
		ipcfs_amqp_wake(handle->connection);
	}
	ipcfs_amqp_leave(handle);
	return events;
}

const struct ipcfs_queue_ops ipcfs_amqp_queue_ops = {
	.typed_receive = false,
	.type_min = 0,
	.type_max = PRIORITY_MAX,
	.type_plain = 0,
	.open = open_queue,
	.close = close_queue,
	.fstat = fstat_queue,
	.perm = perm,
	.receive = receive,
	.send = send_queue,
	.sent = sent,
	.unsend = unsend,
	.confirm = ipcfs_amqp_confirm,
	.give_back = ipcfs_amqp_give_back,
	.lease = ipcfs_amqp_lease,
	.settle = ipcfs_amqp_lease_settle,
	.want = want,
	.idle = idle,
	.patience = patience,
	.pollable = true,
	.ready = ready,
};
