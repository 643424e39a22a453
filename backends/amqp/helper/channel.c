/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/amqp/helper/ask.h"
#include "backends/amqp/helper/consume.h"
#include "backends/amqp/helper/lease.h"
#include "backends/amqp/helper/properties.h"
#include "backends/amqp/helper/publish.h"
#include "backends/amqp/helper/queue.h"

static void fail_unexpected(struct ipcfs_amqp_helper *helper)
{
	ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker sends what does not belong here");
}

static void looked(struct ipcfs_amqp_helper *helper, uint32_t number, uint64_t put,
		   const struct ipcfs_amqp_outcome *outcome)
{
	struct ipcfs_amqp_queue *queue = ipcfs_amqp_queue_find(helper, number);

	if (queue)
		ipcfs_amqp_publish_looked(helper, queue, put, outcome);
}

void ipcfs_amqp_channel_start(struct ipcfs_amqp_helper *helper)
{
	ipcfs_amqp_ask_start(helper, looked);
}

/* Begins a message: its header follows. */
static void begin_content(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			  const amqp_method_t *method)
{
	struct ipcfs_amqp_content *content = &queue->content;
	const amqp_basic_deliver_t *deliver = method->decoded;
	const amqp_basic_get_ok_t *got = method->decoded;

	if (content->method || helper->publishes != (method->id == AMQP_BASIC_RETURN_METHOD)) {
		fail_unexpected(helper);
		return;
	}
	content->method = method->id;
	if (method->id == AMQP_BASIC_DELIVER_METHOD) {
		content->consumer = ipcfs_amqp_consumer_of(deliver->consumer_tag);
		content->tag = deliver->delivery_tag;
		content->redelivered = deliver->redelivered;
	} else if (method->id == AMQP_BASIC_GET_OK_METHOD) {
		content->tag = got->delivery_tag;
		content->redelivered = got->redelivered;
	}
}

/* Ends a message: it has been handed on. */
static void end_content(struct ipcfs_amqp_content *content)
{
	free(content->body);
	content->body = NULL;
	content->method = 0;
	content->has_header = content->too_long = false;
	content->size = content->received = 0;
}

static void finish_content(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue)
{
	if (queue->content.received < queue->content.size)
		return;
	if (helper->publishes)
		ipcfs_amqp_publish_returned(helper, queue);
	else
		ipcfs_amqp_consume_message(helper, queue);
	end_content(&queue->content);
}

static void take_header(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			const amqp_frame_t *frame)
{
	struct ipcfs_amqp_content *content = &queue->content;
	const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
	bool has_priority;

	if (!content->method || content->has_header ||
	    frame->payload.properties.class_id != AMQP_BASIC_CLASS) {
		fail_unexpected(helper);
		return;
	}
	has_priority = properties->_flags & AMQP_BASIC_PRIORITY_FLAG;
	content->has_header = true;
	content->size = frame->payload.properties.body_size;
	content->priority = has_priority ? properties->priority : 0;
	content->text_size = ipcfs_amqp_properties(properties, content->text, IPCFS_AMQP_TEXT_MAX);
	content->put = properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG
			       ? ipcfs_amqp_publish_number(helper, properties->message_id)
			       : 0;
	content->too_long = helper->publishes || content->size > helper->max_message;
	content->body = content->too_long ? NULL : malloc(content->size + 1);
	if (content->body || content->too_long)
		finish_content(helper, queue);
	else
		ipcfs_amqp_queue_abandon(helper, queue, -ENOMEM, amqp_empty_bytes);
}

static void take_body(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
		      amqp_bytes_t part)
{
	struct ipcfs_amqp_content *content = &queue->content;

	if (!content->has_header || part.len > content->size - content->received) {
		fail_unexpected(helper);
		return;
	}
	if (content->body)
		memcpy(content->body + content->received, part.bytes, part.len);
	content->received += part.len;
	finish_content(helper, queue);
}

static void channel_closed(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			   const amqp_channel_close_t *close)
{
	int error = ipcfs_amqp_reply_error(close->reply_code, close->reply_text);

	ipcfs_amqp_channel_closed(helper, queue->channel);
	if (error == -ENOENT)
		error = -EIDRM;
	/* Nothing that was sent on this channel has arguments that the broker may dislike. */
	if (error == -EINVAL)
		error = -EIO;
	if (!ipcfs_amqp_lease_closed(helper, queue, error, close->reply_text))
		ipcfs_amqp_queue_end(helper, queue, error, close->reply_text);
}

static void queue_method(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			 const amqp_method_t *method)
{
	const amqp_basic_ack_t *ack = method->decoded;
	const amqp_basic_nack_t *nack = method->decoded;

	switch (method->id) {
	case AMQP_CHANNEL_OPEN_OK_METHOD:
	case AMQP_CONFIRM_SELECT_OK_METHOD:
	case AMQP_BASIC_QOS_OK_METHOD:
		break;
	case AMQP_CHANNEL_CLOSE_METHOD:
		channel_closed(helper, queue, method->decoded);
		break;
	case AMQP_BASIC_DELIVER_METHOD:
	case AMQP_BASIC_GET_OK_METHOD:
	case AMQP_BASIC_RETURN_METHOD:
		begin_content(helper, queue, method);
		break;
	case AMQP_BASIC_ACK_METHOD:
		ipcfs_amqp_publish_confirm(helper, queue, ack->delivery_tag, ack->multiple, true);
		break;
	case AMQP_BASIC_NACK_METHOD:
		ipcfs_amqp_publish_confirm(helper, queue, nack->delivery_tag, nack->multiple,
					   false);
		break;
	default:
		ipcfs_amqp_consume_method(helper, queue, method);
	}
}

/* Takes a frame on the channel of a queue that was closed by this end. */
static void closing_frame(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			  const amqp_frame_t *frame)
{
	if (frame->frame_type != AMQP_FRAME_METHOD)
		return;
	if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_OK_METHOD)
		ipcfs_amqp_queue_free(helper, queue);
	else if (frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD)
		ipcfs_amqp_channel_closed(helper, queue->channel);
}

static void queue_frame(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			const amqp_frame_t *frame)
{
	if (queue->closing)
		closing_frame(helper, queue, frame);
	else if (frame->frame_type == AMQP_FRAME_METHOD)
		queue_method(helper, queue, &frame->payload.method);
	else if (frame->frame_type == AMQP_FRAME_HEADER)
		take_header(helper, queue, frame);
	else if (frame->frame_type == AMQP_FRAME_BODY)
		take_body(helper, queue, frame->payload.body_fragment);
}

/* Takes a method about the connection. */
static void connection_method(struct ipcfs_amqp_helper *helper, const amqp_method_t *method)
{
	const amqp_connection_close_t *close = method->decoded;
	const amqp_connection_blocked_t *blocked = method->decoded;
	amqp_connection_close_ok_t ok = { 0 };
	char line[IPCFS_AMQP_REASON_SIZE];
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_UNBLOCKED };

	if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
		ipcfs_amqp_method(helper, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
		(void)ipcfs_amqp_printable(close->reply_text, line, sizeof(line));
		ipcfs_amqp_fail(helper, -EHOSTDOWN, line);
	} else if (method->id == AMQP_CONNECTION_BLOCKED_METHOD) {
		helper->blocked = helper->publishes;
		record.type = IPCFS_AMQP_BLOCKED;
		record.text = ipcfs_amqp_printable(blocked->reason, line, sizeof(line));
		ipcfs_amqp_tell(helper, &record, line, NULL);
	} else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
		helper->blocked = false;
		ipcfs_amqp_tell(helper, &record, NULL, NULL);
	} else {
		fail_unexpected(helper);
	}
}

void ipcfs_amqp_channel_frame(struct ipcfs_amqp_helper *helper, const amqp_frame_t *frame)
{
	bool is_method = frame->frame_type == AMQP_FRAME_METHOD;

	if (frame->frame_type == AMQP_FRAME_HEARTBEAT)
		return;
	if (frame->channel >= IPCFS_AMQP_FIRST_CHANNEL && frame->channel <= helper->channel_max &&
	    helper->channels[frame->channel])
		queue_frame(helper, helper->channels[frame->channel], frame);
	else if (frame->channel >= IPCFS_AMQP_FIRST_CHANNEL || !is_method)
		fail_unexpected(helper);
	else if (frame->channel)
		ipcfs_amqp_ask_method(helper, frame->channel, &frame->payload.method);
	else
		connection_method(helper, &frame->payload.method);
}

static void queue_record(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			 const struct ipcfs_amqp_packet *packet)
{
	if (packet->record.type == IPCFS_AMQP_CLOSE)
		ipcfs_amqp_queue_close(helper, queue);
	else if (helper->publishes != (packet->record.type == IPCFS_AMQP_PUT))
		ipcfs_amqp_fail(helper, -EPROTO, "a record is for the other program");
	else if (helper->publishes)
		ipcfs_amqp_publish_put(helper, queue, packet);
	else if (packet->record.type == IPCFS_AMQP_LEASE)
		ipcfs_amqp_lease_take(helper, queue, packet->record.number);
	else
		ipcfs_amqp_consume_record(helper, queue, &packet->record);
}

void ipcfs_amqp_channel_record(struct ipcfs_amqp_helper *helper,
			       const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_queue *queue;

	switch (packet->record.type) {
	case IPCFS_AMQP_LOGIN:
		ipcfs_amqp_fail(helper, -EPROTO, "a second log-in");
		break;
	case IPCFS_AMQP_OPEN:
		ipcfs_amqp_queue_open(helper, packet);
		break;
	case IPCFS_AMQP_LOOK:
	case IPCFS_AMQP_MAKE:
	case IPCFS_AMQP_REMOVE:
		ipcfs_amqp_ask(helper, packet);
		break;
	default:
		/* All others are about a queue, which may have ended meanwhile. */
		queue = ipcfs_amqp_queue_find(helper, packet->record.queue);
		if (queue)
			queue_record(helper, queue, packet);
	}
}
