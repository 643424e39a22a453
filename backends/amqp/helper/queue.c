/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void say_ended(struct ipcfs_amqp_helper *helper, uint32_t number, int error,
		      amqp_bytes_t text)
{
	char line[IPCFS_AMQP_REASON_SIZE];
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_ENDED,
		.queue = number,
		.error = error,
		.text = ipcfs_amqp_printable(text, line, sizeof(line)),
	};

	ipcfs_amqp_tell(helper, &record, line, NULL);
}

/* Returns a channel that is not used; 0: there is none. */
static amqp_channel_t free_channel(const struct ipcfs_amqp_helper *helper)
{
	for (unsigned i = IPCFS_AMQP_FIRST_CHANNEL; i <= helper->channel_max; i++) {
		if (!helper->channels[i])
			return (amqp_channel_t)i;
	}
	return 0;
}

static void prepare_channel(struct ipcfs_amqp_helper *helper, amqp_channel_t channel)
{
	amqp_confirm_select_t confirm = { 0 };
	amqp_basic_qos_t one_each = { .prefetch_count = 1 };

	ipcfs_amqp_channel_open(helper, channel);
	if (helper->publishes)
		ipcfs_amqp_method(helper, channel, AMQP_CONFIRM_SELECT_METHOD, &confirm);
	else
		ipcfs_amqp_method(helper, channel, AMQP_BASIC_QOS_METHOD, &one_each);
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_more(struct ipcfs_amqp_helper *helper, uint32_t number,
					       amqp_bytes_t name)
{
	amqp_channel_t channel = free_channel(helper);
	struct ipcfs_amqp_queue *queue = channel ? calloc(1, sizeof(*queue)) : NULL;

	if (!queue)
		return NULL;
	queue->number = number;
	queue->channel = channel;
	memcpy(queue->name_bytes, name.bytes, name.len);
	queue->name = (amqp_bytes_t){ name.len, queue->name_bytes };
	helper->channels[channel] = queue;
	prepare_channel(helper, channel);
	return queue;
}

void ipcfs_amqp_queue_open(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	const amqp_bytes_t name = { record->text, (void *)packet->bytes };
	int error = free_channel(helper) ? -ENOMEM : -EMFILE;

	if (record->queue <= helper->last_queue) {
		ipcfs_amqp_fail(helper, -EPROTO, "the number of a queue is used twice");
		return;
	}
	helper->last_queue = record->queue;
	if (!ipcfs_amqp_queue_more(helper, record->queue, name))
		say_ended(helper, record->queue, error, amqp_empty_bytes);
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_find(struct ipcfs_amqp_helper *helper, uint32_t number)
{
	for (unsigned i = IPCFS_AMQP_FIRST_CHANNEL; i <= helper->channel_max; i++) {
		struct ipcfs_amqp_queue *queue = helper->channels[i];

		if (queue && queue->number == number && !queue->closing && !queue->leases &&
		    !queue->spare)
			return queue;
	}
	return NULL;
}

static bool holds(const struct ipcfs_amqp_queue *queue, uint64_t message)
{
	const struct ipcfs_amqp_held *held = queue->held;

	while (held && held->number != message)
		held = held->next;
	return held;
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_holder(struct ipcfs_amqp_helper *helper, uint32_t number,
						 uint64_t message)
{
	for (unsigned i = IPCFS_AMQP_FIRST_CHANNEL; i <= helper->channel_max; i++) {
		struct ipcfs_amqp_queue *queue = helper->channels[i];

		if (queue && queue->number == number && !queue->closing && holds(queue, message))
			return queue;
	}
	return NULL;
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_spare(struct ipcfs_amqp_helper *helper, uint32_t number)
{
	for (unsigned i = IPCFS_AMQP_FIRST_CHANNEL; i <= helper->channel_max; i++) {
		struct ipcfs_amqp_queue *queue = helper->channels[i];

		if (queue && queue->number == number && !queue->closing && queue->spare)
			return queue;
	}
	return NULL;
}

void ipcfs_amqp_queue_free(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	while (queue->held) {
		struct ipcfs_amqp_held *held = queue->held;

		queue->held = held->next;
		free(held);
	}
	helper->channels[queue->channel] = NULL;
	free(queue->content.body);
	free(queue);
}

void ipcfs_amqp_queue_close_channel(struct ipcfs_amqp_helper *helper,
				    struct ipcfs_amqp_queue *queue)
{
	queue->closing = true;
	ipcfs_amqp_channel_close(helper, queue->channel);
}

void ipcfs_amqp_queue_retire(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	if (!queue->leases || queue->held || queue->gets || queue->cancels)
		return;
	if (ipcfs_amqp_queue_spare(helper, queue->number)) {
		ipcfs_amqp_queue_close_channel(helper, queue);
		return;
	}
	queue->leases = false;
	queue->spare = true;
}

void ipcfs_amqp_queue_close(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	for (unsigned i = IPCFS_AMQP_FIRST_CHANNEL; i <= helper->channel_max; i++) {
		struct ipcfs_amqp_queue *other = helper->channels[i];

		if (other && other->number == queue->number && !other->closing)
			ipcfs_amqp_queue_close_channel(helper, other);
	}
}

void ipcfs_amqp_queue_end(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			  int error, amqp_bytes_t text)
{
	queue->closing = true; /* by the broker */
	say_ended(helper, queue->number, error, text);
	ipcfs_amqp_queue_close(helper, queue);
	ipcfs_amqp_queue_free(helper, queue);
}

void ipcfs_amqp_queue_abandon(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			      int error, amqp_bytes_t text)
{
	say_ended(helper, queue->number, error, text);
	ipcfs_amqp_queue_close(helper, queue);
}
