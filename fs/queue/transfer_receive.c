/* SPDX-License-Identifier: MIT */
/* Receives messages for reads of the files of a queue. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "fs/access/caller.h"
#include "fs/base/clock.h"
#include "fs/base/effects.h"
#include "fs/queue/framing.h"
#include "fs/queue/transfer.h"
#include "fs/request/file_check.h"
#include "fs/wait/waits.h"

#define CAPACITY_MIN 256       /* bytes of text; a smaller buffer is not tried */
#define HURRY_NS 2000000000ULL /* a request that may not wait waits so long for an answer */
#define HURRY_STEP_MS 50       /* between two looks whether the caller is gone */
#define FRAME_OVERHEAD 24      /* bytes of a type, a tab and a newline, at most */

/* Stands before a message where the next worker finds it. */
struct in_hand {
	int64_t size; /* bytes of its text */
};

#define NO_TYPE (-1L) /* no message has it */
#define NO_TEXT 0xff  /* no UTF-8 has this byte */
#define HEADS (sizeof(struct in_hand) + sizeof(struct ipcfs_message))

static struct ipcfs_message *message_of(struct in_hand *hand)
{
	return (struct ipcfs_message *)(void *)(hand + 1);
}

/*
 * Returns the size of the message that a worker received as it died. -EAGAIN: it received none. The
 * size is that of the bytes that were written, so a message that ends in NO_TEXT is too short.
 */
static ssize_t size_in_hand(const struct ipcfs_queue_waiter *waiter, struct ipcfs_message *message,
			    size_t room)
{
	size_t size = room;
	unsigned priority;

	if (message->type == NO_TYPE)
		return -EAGAIN;
	while (size && (unsigned char)message->text[size - 1] == NO_TEXT)
		size--;
	/* the kernel writes a type as a long, and a priority as an unsigned */
	memcpy(&priority, &message->type, sizeof(priority));
	if (!waiter->base.object->class->queue->typed_receive)
		message->type = (long)priority;
	return (ssize_t)size;
}

/* Returns the size of the message that a worker before has received. -EAGAIN: it received none. */
static ssize_t receive_again(const struct ipcfs_queue_waiter *waiter, enum ipcfs_call call,
			     struct in_hand **hand)
{
	size_t room;

	*hand = ipcfs_effects_in_hand(&room);
	if (!*hand || room < HEADS)
		return call == IPCFS_CALL_DONE ? -EIO : -EAGAIN;
	room -= HEADS;
	if (call == IPCFS_CALL_PERHAPS)
		(*hand)->size = size_in_hand(waiter, message_of(*hand), room);
	return (*hand)->size > (int64_t)room ? -EIO : (ssize_t)(*hand)->size;
}

/*
 * Receives a message where the next worker finds it. Errors of receive in struct ipcfs_queue_ops.
 * -ENOMEM
 */
static ssize_t receive_into(const struct ipcfs_queue_waiter *waiter, size_t capacity,
			    struct in_hand **hand)
{
	struct ipcfs_message *message;

	*hand = ipcfs_effects_hand(HEADS + capacity);
	if (!*hand)
		return -ENOMEM;
	message = message_of(*hand);
	message->token = 0;
	message->type = NO_TYPE;
	memset(message->text, NO_TEXT, capacity);
	ipcfs_effects_calling(false);
	(*hand)->size = waiter->base.object->class->queue->receive(
		waiter->base.handle, waiter->base.selector, message, capacity);
	return (ssize_t)(*hand)->size;
}

/* The same, unless a worker before has received the message. -EIO: it is lost. */
static ssize_t receive_noted(const struct ipcfs_queue_waiter *waiter, size_t capacity,
			     struct ipcfs_message **message)
{
	enum ipcfs_call call = ipcfs_effects_call();
	struct in_hand *hand = NULL;
	ssize_t got = call == IPCFS_CALL_NEW ? -EAGAIN : receive_again(waiter, call, &hand);

	if (got == -EAGAIN && call != IPCFS_CALL_DONE)
		got = receive_into(waiter, capacity, &hand);
	if (call != IPCFS_CALL_DONE)
		ipcfs_effects_called(got >= 0);
	if (got < 0)
		return got;
	*message = message_of(hand);
	ipcfs_effects_took(HEADS + (size_t)got);
	return got;
}

/* Receives a message into a buffer. Errors of receive in struct ipcfs_queue_ops. -ENOMEM. */
static ssize_t receive_plain(const struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer,
			     size_t capacity, struct ipcfs_message **message)
{
	ssize_t got;

	*message = ipcfs_transfer_message(buffer, capacity);
	if (!*message)
		return -ENOMEM;
	got = waiter->base.object->class->queue->receive(waiter->base.handle, waiter->base.selector,
							 *message, capacity);
	if (got >= 0)
		buffer->size = sizeof(**message) + (size_t)got;
	return got;
}

/*
 * Receives a message of up to `capacity` bytes. Returns its size in bytes; *message points into
 * *buffer, or to memory that lasts until the next call.
 * -ENOMEM, and the errors of receive in struct ipcfs_queue_ops.
 */
static ssize_t receive_one(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer,
			   size_t capacity, struct ipcfs_message **message)
{
	bool noted = ipcfs_effects_is_noted() && !waiter->base.object->class->queue->confirm;
	ssize_t got = noted ? receive_noted(waiter, capacity, message)
			    : receive_plain(waiter, buffer, capacity, message);

	if (got >= 0)
		ipcfs_transfer_count(waiter->base.object, IPCFS_MOVE_RECEIVED);
	return got;
}

/*
 * Receives a message of any size, as receive_one. Begins with the capacity of the queue's longest
 * message so far.
 */
static ssize_t receive_any_size(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer,
				struct ipcfs_message **message)
{
	size_t capacity = waiter->base.object->queue.largest_message;
	ssize_t got;

	if (capacity < CAPACITY_MIN)
		capacity = CAPACITY_MIN;
	while ((got = receive_one(waiter, buffer, capacity, message)) == -EMSGSIZE &&
	       capacity < INT_MAX / 2) {
		capacity *= 2;
		waiter->base.object->queue.largest_message = capacity;
	}
	return got;
}

/* Returns how a received message is noted. */
static struct ipcfs_taken taken_of(const struct ipcfs_queue_waiter *waiter,
				   const struct ipcfs_message *message, size_t size)
{
	struct ipcfs_taken taken = { .type = message->type, .size = size };

	if (waiter->base.object->class->queue->confirm)
		taken.token = message->token;
	return taken;
}

/*
 * Appends a received message of `size` bytes to data, and notes it in taken. After the errors of
 * ipcfs_frame_add it did neither.
 */
static int append_received(struct ipcfs_queue_waiter *waiter, const struct ipcfs_message *message,
			   size_t size)
{
	struct ipcfs_taken taken = taken_of(waiter, message, size);
	size_t before = waiter->data.size;
	int err;

	if (waiter->framing == IPCFS_FRAMING_NONE)
		err = ipcfs_text_add(&waiter->data, message->text, size);
	else
		err = ipcfs_frame_add(waiter->framing, message, size, &waiter->data);
	if (err)
		return err;
	taken.start = before;
	if (waiter->framing == IPCFS_FRAMING_RECORDS) {
		taken.start += IPCFS_RECORD_HEADER;
	} else if (waiter->framing == IPCFS_FRAMING_TAGGED) {
		const char *tab = memchr(waiter->data.data + before, '\t',
					 waiter->data.size - before);

		taken.start = (size_t)(tab + 1 - waiter->data.data);
	}
	err = ipcfs_text_add(&waiter->taken, &taken, sizeof(taken));
	if (err)
		ipcfs_text_cut(&waiter->data, before);
	return err;
}

/* Appends a received message to data. After an error it was put back into the queue. */
static int append_or_put_back(struct ipcfs_queue_waiter *waiter,
			      const struct ipcfs_message *message, size_t size)
{
	const struct ipcfs_taken taken = taken_of(waiter, message, size);
	int err = append_received(waiter, message, size);

	if (err)
		ipcfs_transfer_put_back(&waiter->base, &taken, message->text);
	return err;
}

static bool is_drain(const struct ipcfs_queue_waiter *waiter)
{
	return waiter->base.file->key.kind == IPCFS_NODE_DRAIN;
}

/*
 * Returns in *allowed how many messages this read may receive. A drain may receive as many in all
 * as were in the queue at its first read. While the read runs, no other read of the same open file
 * may receive any.
 */
static int drain_begin(struct ipcfs_queue_waiter *waiter, uint64_t *allowed)
{
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_info info = { 0 };
	int err;

	*allowed = UINT64_MAX;
	/* the count of a queue elsewhere may be an old one; receive tells the end */
	if (!is_drain(waiter) || waiter->base.object->class->queue->confirm)
		return 0;
	err = waiter->base.object->class->queue->fstat(waiter->base.handle, &info);
	if (err && err != -EIDRM)
		return err;
	pthread_mutex_lock(&file->lock);
	*allowed = file->queue.counted ? file->queue.left : info.messages + ipcfs_effects_to_come();
	file->queue.left = 0;
	file->queue.counted = true;
	pthread_mutex_unlock(&file->lock);
	return 0;
}

/* Returns whether a receive that gave this says that no message was there. */
static bool found_none(ssize_t got)
{
	return got == -EAGAIN || got == -EIDRM;
}

/*
 * Gives the open file what this read left of `allowed`; nothing if the queue was empty. `got` is
 * the result of the last receive. A message that did not fit comes with the next read.
 */
static void drain_end(struct ipcfs_queue_waiter *waiter, uint64_t left, ssize_t got)
{
	if (!is_drain(waiter))
		return;
	pthread_mutex_lock(&waiter->base.file->lock);
	waiter->base.file->queue.left = found_none(got) ? 0 : left;
	pthread_mutex_unlock(&waiter->base.file->lock);
}

/*
 * Receives the next message of a read of lines, tagged or drain, as receive_one. Only the first one
 * may be longer than the read.
 */
static ssize_t receive_line(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer,
			    struct ipcfs_message **message)
{
	size_t used = waiter->data.size + FRAME_OVERHEAD;
	size_t capacity = waiter->base.object->queue.largest_message;

	if (!waiter->taken.size)
		return receive_any_size(waiter, buffer, message);
	if (used + CAPACITY_MIN > waiter->size)
		return -EMSGSIZE;
	if (capacity > waiter->size - used)
		capacity = waiter->size - used;
	return receive_one(waiter, buffer, capacity, message);
}

/* Receives the next message of a read of records, as receive_one. All of it has to fit. */
static ssize_t receive_record(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer,
			      struct ipcfs_message **message)
{
	size_t used = waiter->data.size + IPCFS_RECORD_HEADER;
	size_t capacity = waiter->base.object->queue.largest_message, room;
	ssize_t got;

	if (used > waiter->size)
		return -EMSGSIZE;
	room = waiter->size - used;
	if (capacity > room)
		capacity = room;
	got = receive_one(waiter, buffer, capacity, message);
	if (got == -EMSGSIZE && capacity < room)
		got = receive_one(waiter, buffer, room, message);
	return got;
}

/*
 * Receives one message, or, if the read is large or of records, as many whole messages as are there
 * and fit.
 */
static int receive_frames(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer)
{
	bool records = waiter->framing == IPCFS_FRAMING_RECORDS;
	/* each message of a queue elsewhere has to be asked for */
	bool asks = waiter->base.object->class->queue->confirm;
	bool batch = !asks && (records || waiter->size > IPCFS_BATCH);
	struct ipcfs_message *message;
	uint64_t allowed;
	ssize_t got = 0;
	int err;

	err = drain_begin(waiter, &allowed);
	if (err)
		return err;
	while (allowed > 0) {
		got = records ? receive_record(waiter, buffer, &message)
			      : receive_line(waiter, buffer, &message);
		if (got < 0)
			break;
		allowed--;
		err = append_or_put_back(waiter, message, (size_t)got);
		if (err || !batch)
			break;
	}
	drain_end(waiter, allowed, got);
	if (waiter->taken.size)
		return 0;
	if (is_drain(waiter) && found_none(got))
		return 0; /* end of file */
	return err ? err : (int)(got < 0 ? got : 0);
}

/* Receives one message for msg or packets. A packet has to fit into the read. */
static int receive_whole(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer)
{
	struct ipcfs_message *message;
	ssize_t got;

	if (waiter->base.file->key.kind == IPCFS_NODE_PACKETS)
		got = receive_one(waiter, buffer, waiter->size, &message);
	else
		got = receive_any_size(waiter, buffer, &message);
	return got < 0 ? (int)got : append_or_put_back(waiter, message, (size_t)got);
}

ssize_t ipcfs_transfer_receive(struct ipcfs_waiter *base, bool wait)
{
	const struct ipcfs_queue_ops *queue = base->object->class->queue;
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	struct ipcfs_text buffer = { 0 };
	int err;

	(void)wait; /* the wait room waits for a message, and then attempts again */
	err = ipcfs_file_check(waiter->base.fs, waiter->base.file, IPCFS_RECEIVE, waiter->base.tid);
	if (err)
		return err;
	if (waiter->framing == IPCFS_FRAMING_NONE)
		err = receive_whole(waiter, &buffer);
	else
		err = receive_frames(waiter, &buffer);
	ipcfs_text_free(&buffer);
	if (waiter->taken.size)
		ipcfs_waits_check_pollers(waiter->base.fs->waits, waiter->base.object);
	if (err == -EAGAIN && queue->want && !waiter->hurried)
		queue->want(base->handle);
	return ipcfs_transfer_for_waits(waiter, err);
}

void ipcfs_transfer_idle(const struct ipcfs_waiter *waiter)
{
	const struct ipcfs_queue_ops *queue = waiter->object->class->queue;

	if (queue->idle && waiter->object->waits.parked[IPCFS_RECEIVE] == 0)
		queue->idle(waiter->handle);
}

void ipcfs_transfer_confirm_all(struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	const struct ipcfs_taken *taken = (const void *)waiter->taken.data;

	for (size_t i = 0; queue->confirm && i < waiter->taken.size / sizeof(*taken); i++)
		(void)queue->confirm(waiter->base.handle, taken[i].token);
	ipcfs_text_cut(&waiter->taken, 0);
}

/* Waits for an answer on the handle, for a moment. */
static void await(const struct ipcfs_waiter *base)
{
	struct pollfd handle = {
		.fd = base->handle,
		.events = base->direction == IPCFS_SEND ? POLLOUT : POLLIN,
	};

	(void)poll(&handle, 1, HURRY_STEP_MS); /* whatever it says: the attempt tells */
}

ssize_t ipcfs_transfer_hurry(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_waiter *base = &waiter->base;
	uint64_t end = ipcfs_clock_ns() + HURRY_NS;
	ssize_t result;

	waiter->hurried = true;
	while ((result = base->ops->attempt(base, false)) == -EINPROGRESS) {
		if (ipcfs_clock_ns() >= end)
			result = -EHOSTDOWN;
		else if (fuse_req_interrupted(base->req) && ipcfs_caller_ends(base->tid))
			result = -EINTR;
		if (result != -EINPROGRESS)
			break;
		await(base);
	}
	return result;
}

int ipcfs_transfer_accept_uncounted(struct ipcfs_waiter *base, long type)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	struct ipcfs_message empty = { .type = type };
	int err = ipcfs_file_check(waiter->base.fs, waiter->base.file, IPCFS_RECEIVE,
				   waiter->base.tid);

	(void)ipcfs_effects_act();
	return err ? err : append_received(waiter, &empty, 0);
}

int ipcfs_transfer_accept(struct ipcfs_waiter *base, long type)
{
	int err = ipcfs_transfer_accept_uncounted(base, type);

	if (!err)
		ipcfs_transfer_count(base->object, IPCFS_MOVE_RECEIVED);
	return err;
}
