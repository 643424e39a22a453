/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_SIZE = 64 + 1 + 20 + 1, PERSISTENT = 2 };

/* Returns the place of a message; 0: a free place. NULL: there is none. */
static struct ipcfs_amqp_put *put_of(struct ipcfs_amqp_queue *queue, uint64_t number)
{
	for (size_t i = 0; i < IPCFS_AMQP_PUTS_MAX; i++) {
		if (queue->puts[i].number == number)
			return &queue->puts[i];
	}
	return NULL;
}

uint64_t ipcfs_amqp_publish_number(const struct ipcfs_amqp_helper *helper, amqp_bytes_t id)
{
	size_t length = strlen(helper->source);
	char text[ID_SIZE] = "";

	if (id.len >= sizeof(text) || id.len <= length + 1)
		return 0;
	memcpy(text, id.bytes, id.len);
	if (strncmp(text, helper->source, length) != 0 || text[length] != '-')
		return 0;
	return strtoull(text + length + 1, NULL, 10);
}

static void publish(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		    const struct ipcfs_amqp_record *record, amqp_bytes_t body)
{
	char id[ID_SIZE];
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
			  (record->priority ? AMQP_BASIC_PRIORITY_FLAG : 0U),
		.delivery_mode = PERSISTENT,
		.priority = record->priority,
	};
	int status;

	(void)snprintf(id, sizeof(id), "%s-%" PRIu64, helper->source, record->number);
	properties.message_id = amqp_cstring_bytes(id);
	status = amqp_basic_publish(helper->connection, queue->channel, amqp_empty_bytes,
				    queue->name, true, false, &properties, body);
	if (status != AMQP_STATUS_OK)
		ipcfs_amqp_fail(helper, -EHOSTDOWN, amqp_error_string2(status));
}

void ipcfs_amqp_publish_put(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			    const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	struct ipcfs_amqp_put *put = put_of(queue, 0);
	char *body;
	int err;

	if (!put || put_of(queue, record->number)) {
		ipcfs_amqp_fail(helper, -EPROTO, "too many puts, or one twice");
		return;
	}
	body = malloc(record->body + 1);
	if (!body) {
		ipcfs_amqp_queue_abandon(helper, queue, -ENOMEM, amqp_empty_bytes);
		return;
	}
	err = ipcfs_amqp_body(packet, body);
	if (err) {
		ipcfs_amqp_fail(helper, err, "a body can't be read");
	} else {
		*put = (struct ipcfs_amqp_put){ .number = record->number,
						.sequence = ++queue->sequence };
		publish(helper, queue, record, (amqp_bytes_t){ record->body, body });
	}
	free(body);
}

static void tell(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		 struct ipcfs_amqp_put *put, enum ipcfs_amqp_type type, int error)
{
	const struct ipcfs_amqp_record record = {
		.type = (uint8_t)type,
		.queue = queue->number,
		.number = put->number,
		.error = error,
	};

	ipcfs_amqp_tell(helper, &record, NULL, NULL);
	put->number = 0;
}

/* The numbers of messages that the broker has. */
struct stored {
	uint64_t numbers[IPCFS_AMQP_PUTS_MAX];
	uint32_t count;
};

/* Says STORED, unless there are none. */
static void tell_stored(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
			const struct stored *stored)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_STORED,
		.queue = queue->number,
		.number = stored->numbers[0],
		.body = (uint32_t)sizeof(*stored->numbers) * (stored->count - 1),
	};

	if (stored->count)
		ipcfs_amqp_tell(helper, &record, NULL, stored->numbers + 1);
}

static void confirm_one(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			struct ipcfs_amqp_put *put, struct stored *stored)
{
	if (!stored) {
		tell(helper, queue, put, IPCFS_AMQP_FULL, 0);
	} else if (!put->returned) {
		stored->numbers[stored->count++] = put->number;
		put->number = 0;
	} else {
		put->looking = true;
		ipcfs_amqp_ask_self(helper, queue->name, queue->number, put->number);
	}
}

void ipcfs_amqp_publish_confirm(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
				uint64_t tag, bool multiple, bool stored)
{
	struct stored all = { .count = 0 };

	/* A tag of 0 means all so far. */
	for (size_t i = 0; i < IPCFS_AMQP_PUTS_MAX; i++) {
		struct ipcfs_amqp_put *put = &queue->puts[i];

		if (!put->number || put->looking)
			continue;
		if (put->sequence == tag || (multiple && (put->sequence < tag || !tag)))
			confirm_one(helper, queue, put, stored ? &all : NULL);
	}
	tell_stored(helper, queue, &all);
}

void ipcfs_amqp_publish_returned(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	struct ipcfs_amqp_put *put = queue->content.put ? put_of(queue, queue->content.put) : NULL;

	if (put)
		put->returned = true;
	else
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker returns what was not sent");
}

void ipcfs_amqp_publish_looked(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       uint64_t number, const struct ipcfs_amqp_outcome *outcome)
{
	struct ipcfs_amqp_put *put = put_of(queue, number);

	if (put)
		tell(helper, queue, put, IPCFS_AMQP_RETURNED,
		     outcome->error ? outcome->error : -EAGAIN);
}
