/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/consume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_SIZE = 16 };

static amqp_bytes_t tag_of(uint32_t consumer, char text[TAG_SIZE])
{
	int size = snprintf(text, TAG_SIZE, "%u", consumer);

	return (amqp_bytes_t){ (size_t)size, text };
}

uint32_t ipcfs_amqp_consumer_of(amqp_bytes_t tag)
{
	char text[TAG_SIZE] = "";

	if (tag.len >= TAG_SIZE)
		return 0;
	memcpy(text, tag.bytes, tag.len);
	return (uint32_t)strtoul(text, NULL, 10);
}

static void tell(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		 enum ipcfs_amqp_type type, uint64_t number)
{
	const struct ipcfs_amqp_record record = { .type = (uint8_t)type,
						  .queue = queue->number,
						  .number = number };

	ipcfs_amqp_tell(helper, &record, NULL, NULL);
}

/* Returns the place of a consumer; 0: a free place. NULL: there is none. */
static uint32_t *place_of(struct ipcfs_amqp_queue *queue, uint32_t consumer)
{
	for (size_t i = 0; i < IPCFS_AMQP_READERS_MAX; i++) {
		if (queue->consumers[i] == consumer)
			return &queue->consumers[i];
	}
	return NULL;
}

static void consume(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		    uint32_t *place)
{
	char tag[TAG_SIZE];
	amqp_basic_consume_t method = { .queue = queue->name, .nowait = true };

	*place = ++queue->last_consumer;
	method.consumer_tag = tag_of(*place, tag);
	ipcfs_amqp_method(helper, queue->channel, AMQP_BASIC_CONSUME_METHOD, &method);
}

/* Cancels a consumer. nowait: the broker does not answer. */
static void cancel(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		   uint32_t *place, bool nowait)
{
	char tag[TAG_SIZE];
	amqp_basic_cancel_t method = { .consumer_tag = tag_of(*place, tag), .nowait = nowait };

	*place = 0;
	if (!nowait)
		queue->cancels++;
	ipcfs_amqp_method(helper, queue->channel, AMQP_BASIC_CANCEL_METHOD, &method);
}

/* Says UNWANTED as often as the daemon waits for it, when no cancel is on its way any more. */
static void say_unwanted(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	for (; !queue->cancels && queue->unwanted; queue->unwanted--)
		tell(helper, queue, IPCFS_AMQP_UNWANTED, 0);
}

static void want(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue, uint32_t readers)
{
	uint32_t count = 0;

	for (size_t i = 0; i < IPCFS_AMQP_READERS_MAX; i++) {
		uint32_t *place = &queue->consumers[i];

		if (*place && count >= readers)
			cancel(helper, queue, place, false);
		else if (*place)
			count++;
	}
	for (; count < readers; count++)
		consume(helper, queue, place_of(queue, 0));
	if (!readers)
		queue->unwanted++;
	say_unwanted(helper, queue);
}

void ipcfs_amqp_consume_move(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *from,
			     struct ipcfs_amqp_queue *to)
{
	for (size_t i = 0; i < IPCFS_AMQP_READERS_MAX; i++) {
		if (!from->consumers[i])
			continue;
		cancel(helper, from, &from->consumers[i], true);
		consume(helper, to, place_of(to, 0));
	}
}

static void get(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	amqp_basic_get_t method = { .queue = queue->name };

	if (queue->gets >= IPCFS_AMQP_GETS_MAX) {
		ipcfs_amqp_fail(helper, -EPROTO, "too many gets");
		return;
	}
	queue->gets++;
	ipcfs_amqp_method(helper, queue->channel, AMQP_BASIC_GET_METHOD, &method);
}

static void ack(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		uint64_t tag)
{
	amqp_basic_ack_t method = { .delivery_tag = tag };

	ipcfs_amqp_method(helper, queue->channel, AMQP_BASIC_ACK_METHOD, &method);
}

static void reject(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		   uint64_t tag, bool requeue)
{
	amqp_basic_reject_t method = { .delivery_tag = tag, .requeue = requeue };

	ipcfs_amqp_method(helper, queue->channel, AMQP_BASIC_REJECT_METHOD, &method);
}

/* Settles a message that the queue holds. */
static void settle_held(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			const struct ipcfs_amqp_record *record)
{
	struct ipcfs_amqp_held **link = &queue->held;
	struct ipcfs_amqp_held *held;

	while ((*link)->number != record->number)
		link = &(*link)->next;
	held = *link;
	*link = held->next;
	if (held->consumer)
		cancel(helper, queue, &held->consumer, true);
	if (record->type == IPCFS_AMQP_ACK)
		ack(helper, queue, held->tag);
	else
		reject(helper, queue, held->tag, record->type == IPCFS_AMQP_BACK);
	free(held);
	if (record->flags & IPCFS_AMQP_TELL)
		tell(helper, queue, IPCFS_AMQP_SETTLED, record->number);
	ipcfs_amqp_queue_retire(helper, queue);
}

static void settle(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_record *record)
{
	struct ipcfs_amqp_queue *holder = ipcfs_amqp_queue_holder(helper, record->queue,
								  record->number);

	if (holder)
		settle_held(helper, holder, record);
	else if (record->number > helper->last_message)
		ipcfs_amqp_fail(helper, -EPROTO, "a message that never came is settled");
	/* else the broker has taken it back, and LOST is on its way */
}

void ipcfs_amqp_consume_record(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       const struct ipcfs_amqp_record *record)
{
	if (record->type == IPCFS_AMQP_GET)
		get(helper, queue);
	else if (record->type == IPCFS_AMQP_WANT)
		want(helper, queue, record->readers);
	else
		settle(helper, record);
}

/*
 * The broker has taken a consumer away: the queue is gone, or its node is down. Consuming again
 * tells which, as the broker closes the channel.
 */
static void cancelled(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		      const amqp_basic_cancel_t *method)
{
	uint32_t *place = place_of(queue, ipcfs_amqp_consumer_of(method->consumer_tag));

	if (place && *place)
		consume(helper, queue, place);
}

void ipcfs_amqp_consume_method(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			       const amqp_method_t *method)
{
	if (method->id == AMQP_BASIC_CANCEL_METHOD) {
		cancelled(helper, queue, method->decoded);
	} else if (method->id == AMQP_BASIC_CANCEL_OK_METHOD && queue->cancels) {
		queue->cancels--;
		say_unwanted(helper, queue);
		ipcfs_amqp_queue_retire(helper, queue);
	} else if (method->id == AMQP_BASIC_GET_EMPTY_METHOD && queue->gets) {
		queue->gets--;
		tell(helper, queue, IPCFS_AMQP_EMPTY, 0);
		ipcfs_amqp_queue_retire(helper, queue);
	} else {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker answers what was not asked");
	}
}

/*
 * Keeps a message as one that the daemon has to settle, and returns its number; 0: no memory. Its
 * consumer is cancelled then: a quorum queue keeps the message of one that was cancelled before, if
 * its node is killed.
 */
static uint64_t hold(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		     uint32_t consumer)
{
	struct ipcfs_amqp_held *held = malloc(sizeof(*held));

	if (!held)
		return 0;
	held->number = ++helper->last_message;
	held->tag = queue->content.tag;
	held->consumer = consumer;
	held->next = queue->held;
	queue->held = held;
	return held->number;
}

/* Hands a message to the daemon. `consumer`: to which it came; 0: to a get. */
static void hand_over(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		      uint32_t consumer)
{
	const struct ipcfs_amqp_content *content = &queue->content;
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_MESSAGE,
		.queue = queue->number,
		.flags = (uint8_t)((consumer ? 0 : IPCFS_AMQP_GOT) |
				   (content->redelivered ? IPCFS_AMQP_REDELIVERED : 0)),
		.priority = content->priority,
		.text = content->text_size,
		.body = (uint32_t)content->size,
		.number = hold(helper, queue, consumer),
	};

	if (record.number)
		ipcfs_amqp_tell(helper, &record, content->text, content->body);
	else
		ipcfs_amqp_queue_abandon(helper, queue, -ENOMEM, amqp_empty_bytes);
}

static void refuse(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		   uint32_t consumer)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_TOO_LONG,
		.queue = queue->number,
		.flags = consumer ? 0 : IPCFS_AMQP_GOT,
	};

	if (consumer)
		cancel(helper, queue, &consumer, true);
	reject(helper, queue, queue->content.tag, true);
	ipcfs_amqp_tell(helper, &record, NULL, NULL);
}

void ipcfs_amqp_consume_message(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	const struct ipcfs_amqp_content *content = &queue->content;
	bool got = content->method == AMQP_BASIC_GET_OK_METHOD;
	uint32_t consumer = got ? 0 : content->consumer;
	uint32_t *place = consumer ? place_of(queue, consumer) : NULL;

	if (got && !queue->gets) {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker answers what was not asked");
		return;
	}
	if (got) {
		queue->gets--;
	} else if (place) {
		*place = 0; /* it comes to one reader */
	} else {
		/* It came while its consumer was cancelled: nobody waits for it here. */
		reject(helper, queue, content->tag, true);
		return;
	}
	if (content->too_long)
		refuse(helper, queue, consumer);
	else
		hand_over(helper, queue, consumer);
}
