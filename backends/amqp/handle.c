/* SPDX-License-Identifier: MIT */
/* The records on their way between open queues and ipcfs-amqp. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/handle.h"

#define NS_MS 1000000ULL
#define AGAIN_MIN_MS 10
#define AGAIN_MAX_MS 1000
#define REOPEN_MS 1000
#define LOOK_MS 100 /* between two looks for pollers */

void ipcfs_amqp_silent(struct ipcfs_amqp_handle *handle)
{
	if (!handle->silent)
		handle->silent = ipcfs_amqp_clock();
}

void ipcfs_amqp_delivery_free_body(struct ipcfs_amqp_delivery *delivery)
{
	if (delivery->body)
		explicit_bzero(delivery->body, delivery->size);
	free(delivery->body);
	delivery->body = NULL;
}

void ipcfs_amqp_delivery_free(struct ipcfs_amqp_handle *handle,
			      struct ipcfs_amqp_delivery *delivery)
{
	ipcfs_amqp_delivery_free_body(delivery);
	if (delivery->properties)
		explicit_bzero(delivery->properties, strlen(delivery->properties));
	free(delivery->properties);
	handle->connection->leases -= delivery->leased;
	free(delivery);
}

/* Frees a delivery that no reader has taken. */
static void drop_delivery(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_delivery *delivery)
{
	DL_DELETE(handle->deliveries, delivery);
	ipcfs_amqp_delivery_free(handle, delivery);
}

int ipcfs_amqp_tell(struct ipcfs_amqp_handle *handle, const struct ipcfs_amqp_record *about,
		    const void *bytes)
{
	struct ipcfs_amqp_link *link = &handle->connection->links[handle->direction];
	struct ipcfs_amqp_record record = *about;
	bool puts = record.type == IPCFS_AMQP_PUT;
	int err;

	if (!handle->number || link->failed)
		return -EHOSTDOWN;
	record.queue = handle->number;
	err = ipcfs_amqp_send(link->socket, &record, puts ? NULL : bytes, puts ? bytes : NULL);
	if (!err || (puts && err != -EPIPE))
		return err; /* so many may be sent that there is no room */
	link->failed = true;
	ipcfs_amqp_wake(handle->connection);
	return -EHOSTDOWN;
}

/* Hands a message to ipcfs-amqp, if there is one. Returns whether later ones may follow. */
static bool put_ask(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_PUT,
		.number = put->number,
		.priority = put->priority,
		.body = (uint32_t)put->size,
	};
	int err = ipcfs_amqp_tell(handle, &record, put->body);

	ipcfs_amqp_silent(handle);
	put->asked = !err;
	put->again = 0;
	if (err && err != -EHOSTDOWN)
		put->again = ipcfs_amqp_clock() + AGAIN_MIN_MS * NS_MS;
	if (err != -EHOSTDOWN)
		put->result = -EINPROGRESS;
	return !err;
}

static bool has_result(const struct ipcfs_amqp_put *put)
{
	return put->result != -EINPROGRESS && put->result != -EHOSTDOWN && put->result != -EAGAIN;
}

bool ipcfs_amqp_is_answered(const struct ipcfs_amqp_handle *handle)
{
	const struct ipcfs_amqp_put *put;

	DL_FOREACH (handle->puts, put)
		if (has_result(put))
			return true;
	return false;
}

/*
 * Sends everything that has no answer and is due, in the order in which it came. A blocked broker
 * gets nothing, so that a writer who does not wait can be told that nothing was sent.
 */
static void put_all(struct ipcfs_amqp_handle *handle, uint64_t now)
{
	struct ipcfs_amqp_put *put;

	if (handle->connection->links[IPCFS_SEND].blocked)
		return;
	DL_FOREACH (handle->puts, put) {
		if (put->asked || has_result(put) || (put->again > now && put->result == -EAGAIN))
			continue;
		/* No later one comes before one that had no room. */
		if (put->again > now || !put_ask(handle, put))
			break;
		handle->connection->resent += put->lost;
		handle->queue->resent += put->lost;
		put->lost = false;
	}
}

int ipcfs_amqp_put_add(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put)
{
	bool up = handle->connection->links[IPCFS_SEND].up;

	put->number = ++handle->connection->next_put;
	put->result = up ? -EINPROGRESS : -EHOSTDOWN;
	put->pause_ms = AGAIN_MIN_MS;
	DL_APPEND(handle->puts, put);
	put_all(handle, ipcfs_amqp_clock());
	if (put->again)
		ipcfs_amqp_wake(handle->connection);
	return -EINPROGRESS;
}

static void free_body(struct ipcfs_amqp_put *put)
{
	if (put->body)
		explicit_bzero(put->body, put->size);
	free(put->body);
	put->body = NULL;
}

void ipcfs_amqp_put_free(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put)
{
	DL_DELETE(handle->puts, put);
	free_body(put);
	free(put);
	if (handle->crowded)
		ipcfs_amqp_ready(handle);
	handle->crowded = false;
}

void ipcfs_amqp_put_forget(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_put *put)
{
	put->forgotten = put->asked;
	if (put->asked)
		free_body(put);
	else
		ipcfs_amqp_put_free(handle, put);
}

void ipcfs_amqp_handle_open(struct ipcfs_amqp_handle *handle)
{
	struct ipcfs_amqp_connection *connection = handle->connection;
	const struct ipcfs_amqp_link *link = &connection->links[handle->direction];
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_OPEN,
		.text = (uint32_t)strlen(handle->queue->name),
	};

	handle->reopen = 0;
	handle->error = 0;
	ipcfs_amqp_silent(handle);
	if (!link->up || link->blocked || handle->queue->gone)
		return; /* a blocked ipcfs-amqp takes no records; UNBLOCKED has the handle opened */
	handle->number = ++connection->next_number;
	if (ipcfs_amqp_tell(handle, &record, handle->queue->name))
		handle->number = 0; /* until the next connection */
	put_all(handle, ipcfs_amqp_clock());
	ipcfs_amqp_ready(handle);
}

/* Notes that the broker has a lease again. Its file has it until a verdict or the close. */
static void lose_lease(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_delivery *delivery,
		       int error)
{
	if (!delivery->error)
		delivery->error = error;
	ipcfs_amqp_ready(handle);
}

/* Notes that all messages of the handle are the broker's again. */
static void lose_messages(struct ipcfs_amqp_handle *handle)
{
	struct ipcfs_amqp_delivery *delivery, *next;

	while (handle->deliveries)
		drop_delivery(handle, handle->deliveries);
	DL_FOREACH_SAFE (handle->taken, delivery, next) {
		if (delivery->leased) {
			lose_lease(handle, delivery, -ESTALE);
			continue;
		}
		DL_DELETE(handle->taken, delivery);
		ipcfs_amqp_delivery_free(handle, delivery);
	}
}

/* Notes that the answer about a message is lost, if one was waited for. */
static void lose_put(struct ipcfs_amqp_put *put, bool resends)
{
	if (put->asked && !resends)
		put->result = -EIO;
	else if (put->result == -EINPROGRESS || put->result == -EAGAIN)
		put->result = -EHOSTDOWN;
	put->lost |= put->asked;
	put->asked = false;
	put->again = 0;
}

void ipcfs_amqp_handle_lost(struct ipcfs_amqp_handle *handle)
{
	struct ipcfs_amqp_put *put, *next;

	ipcfs_amqp_silent(handle);
	handle->number = 0;
	handle->asked = handle->outdated = handle->empty = handle->wanting = false;
	lose_messages(handle);
	DL_FOREACH_SAFE (handle->puts, put, next) {
		if (put->forgotten) {
			ipcfs_amqp_put_free(handle, put);
			continue;
		}
		lose_put(put, !handle->connection->settings.no_resend);
	}
}

void ipcfs_amqp_settle(struct ipcfs_amqp_handle *handle, enum ipcfs_amqp_type type, uint64_t number)
{
	const struct ipcfs_amqp_record record = { .type = (uint8_t)type, .number = number };

	if (type == IPCFS_AMQP_BACK)
		handle->connection->returned++;
	(void)ipcfs_amqp_tell(handle, &record, NULL);
}

void ipcfs_amqp_set_want(struct ipcfs_amqp_handle *handle, bool want)
{
	const struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_WANT, .readers = want };

	if (handle->wanting == want)
		return;
	handle->wanting = want && !ipcfs_amqp_tell(handle, &record, NULL);
	if (!want)
		(void)ipcfs_amqp_tell(handle, &record, NULL);
}

/* Returns a delivery with the body of a packet. NULL: no memory, or there is no body. */
static struct ipcfs_amqp_delivery *delivery_of(const struct ipcfs_amqp_handle *handle,
					       const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_delivery *delivery = malloc(sizeof(*delivery));
	size_t size = packet->record.body, text = packet->record.text;
	size_t most = handle->connection->settings.max_message;

	if (!delivery)
		return NULL;
	*delivery = (struct ipcfs_amqp_delivery){
		.number = packet->record.number,
		.priority = packet->record.priority,
		.redelivered = packet->record.flags & IPCFS_AMQP_REDELIVERED,
		.size = size,
		.body = malloc(size ? size : 1),
		.properties = text ? strndup(packet->bytes, text) : NULL,
	};
	if (!delivery->body || !delivery->properties != !text || size > most ||
	    ipcfs_amqp_body(packet, delivery->body)) {
		free(delivery->body);
		free(delivery->properties);
		free(delivery);
		return NULL;
	}
	return delivery;
}

/* Takes the answer that the queue is empty. It was so before a reader came that came later. */
static void take_empty(struct ipcfs_amqp_handle *handle)
{
	handle->empty = !handle->outdated;
	handle->asked = handle->outdated = false;
	handle->queue->messages = 0;
	ipcfs_amqp_ready(handle);
}

/* Takes a message. One that no reader waits for any more goes back. */
static void take_message(struct ipcfs_amqp_handle *handle, const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	struct ipcfs_amqp_delivery *delivery;

	if (record->flags & IPCFS_AMQP_GOT)
		handle->asked = false;
	else
		handle->wanting = false;
	handle->outdated &= handle->asked;
	if (record->flags & IPCFS_AMQP_REDELIVERED) {
		handle->connection->redelivered++;
		handle->queue->redelivered++;
	}
	delivery = handle->idle ? NULL : delivery_of(handle, packet);
	if (delivery) {
		delivery->token = ++handle->connection->next_token;
		DL_APPEND(handle->deliveries, delivery);
	} else {
		ipcfs_amqp_settle(handle, IPCFS_AMQP_BACK, record->number);
	}
	ipcfs_amqp_ready(handle);
}

/* Notes what became of a lease: 0: it is settled; else why the broker has it again. */
static void take_settled(struct ipcfs_amqp_handle *handle, uint64_t number, int error)
{
	struct ipcfs_amqp_delivery *delivery;

	DL_SEARCH_SCALAR(handle->taken, delivery, number, number);
	if (!delivery)
		return;
	if (error) {
		lose_lease(handle, delivery, error == -ETIMEDOUT ? error : -ESTALE);
		return;
	}
	delivery->settled = true;
	ipcfs_amqp_ready(handle);
}

/* Notes what became of a message. */
static void take_result(struct ipcfs_amqp_handle *handle, uint64_t number, int result)
{
	struct ipcfs_amqp_put *put;

	DL_SEARCH_SCALAR(handle->puts, put, number, number);
	if (!put || !put->asked)
		return;
	if (put->forgotten) {
		ipcfs_amqp_put_free(handle, put);
		return;
	}
	put->asked = false;
	put->result = result;
	if (result == -EAGAIN || result == -EHOSTDOWN) {
		put->again = ipcfs_amqp_clock() + put->pause_ms * NS_MS;
		put->pause_ms = put->pause_ms * 2 < AGAIN_MAX_MS ? put->pause_ms * 2 : AGAIN_MAX_MS;
	}
	ipcfs_amqp_ready(handle);
}

/* Notes that messages are stored. */
static void take_stored(struct ipcfs_amqp_handle *handle, const struct ipcfs_amqp_packet *packet)
{
	uint64_t number;

	take_result(handle, packet->record.number, 0);
	for (uint32_t at = 0; at < packet->record.body; at += sizeof(number)) {
		memcpy(&number, packet->bytes + at, sizeof(number));
		take_result(handle, number, 0);
	}
}

/* Handles the end of a handle at ipcfs-amqp: the queue is gone, or it is opened again later. */
static void take_end(struct ipcfs_amqp_handle *handle, int error)
{
	ipcfs_amqp_handle_lost(handle);
	handle->error = error;
	handle->reopen = ipcfs_amqp_clock() + REOPEN_MS * NS_MS;
	if (error == -EIDRM)
		ipcfs_amqp_queue_gone(handle->connection, handle->queue);
	ipcfs_amqp_ready(handle);
}

void ipcfs_amqp_handle_record(struct ipcfs_amqp_handle *handle,
			      const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;

	handle->silent = 0; /* it has answered; what else is waited for begins anew */
	if (handle->puts || handle->asked)
		ipcfs_amqp_silent(handle);
	handle->queue->down = record->error == -EHOSTDOWN;
	switch (record->type) {
	case IPCFS_AMQP_MESSAGE:
		take_message(handle, packet);
		break;
	case IPCFS_AMQP_EMPTY:
		take_empty(handle);
		break;
	case IPCFS_AMQP_TOO_LONG:
		if (record->flags & IPCFS_AMQP_GOT)
			handle->asked = false;
		else
			handle->wanting = false;
		handle->error = -EMSGSIZE;
		ipcfs_amqp_ready(handle);
		break;
	case IPCFS_AMQP_STORED:
		take_stored(handle, packet);
		break;
	case IPCFS_AMQP_FULL:
		take_result(handle, record->number, -EAGAIN);
		break;
	case IPCFS_AMQP_RETURNED:
		take_result(handle, record->number, record->error);
		if (record->error == -ENOENT)
			ipcfs_amqp_queue_gone(handle->connection, handle->queue);
		break;
	case IPCFS_AMQP_ENDED:
		take_end(handle, record->error);
		break;
	case IPCFS_AMQP_SETTLED:
	case IPCFS_AMQP_LOST:
		take_settled(handle, record->number, record->error);
		break;
	default: /* IPCFS_AMQP_UNWANTED */
		break;
	}
}

/* Asks how many messages the queue has, for pollers. */
static void look(struct ipcfs_amqp_handle *handle, uint64_t now)
{
	handle->next_look = now + LOOK_MS * NS_MS;
	ipcfs_amqp_queue_look(handle->connection, handle->queue);
}

void ipcfs_amqp_looked(struct ipcfs_amqp_handle *handle)
{
	handle->polled = false; /* a poller that is still there asks again */
	ipcfs_amqp_ready(handle);
}

/* Sends again what is due. Returns when the next message is. */
static uint64_t puts_due(struct ipcfs_amqp_handle *handle, uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct ipcfs_amqp_put *put;

	put_all(handle, now);
	DL_FOREACH (handle->puts, put)
		if (put->again > now && put->again < next)
			next = put->again;
	return next;
}

uint64_t ipcfs_amqp_handle_due(struct ipcfs_amqp_handle *handle, uint64_t now)
{
	const struct ipcfs_amqp_connection *connection = handle->connection;
	uint64_t next = puts_due(handle, now);

	if (handle->over && handle->over <= now) {
		handle->over = 0; /* the next attempt tells */
		ipcfs_amqp_ready(handle);
	}
	if (handle->over && handle->over < next)
		next = handle->over;
	if (handle->reopen && handle->reopen <= now)
		ipcfs_amqp_handle_open(handle);
	if (handle->reopen && handle->reopen < next)
		next = handle->reopen;
	if (!handle->polled || handle->queue->question || !connection->links[IPCFS_RECEIVE].up)
		return next;
	if (handle->next_look <= now)
		look(handle, now);
	else if (handle->next_look < next)
		next = handle->next_look;
	return next;
}
