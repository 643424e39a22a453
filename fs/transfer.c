/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <syslog.h>

#include "framing.h"
#include "log.h"

#define ROOM_MIN 256
#define FRAME_OVERHEAD 24 /* a type, a tab and a newline */

/* A text that holds one message as the backend wants it; sized for `room` bytes of text. */
static struct ipcfs_message *message_reserve(struct ipcfs_text *space, size_t room)
{
	ipcfs_text_cut(space, 0);
	if (ipcfs_text_reserve(space, sizeof(struct ipcfs_message) + room))
		return NULL;
	return (struct ipcfs_message *)(void *)space->data;
}

/* Receive into *space: *message is there. The size, or a negative errno. */
static ssize_t receive_one(struct ipcfs_waiter *waiter, struct ipcfs_text *space, size_t room,
			   struct ipcfs_message **message)
{
	ssize_t got;

	*message = message_reserve(space, room);
	if (!*message)
		return -ENOMEM;
	got = waiter->object->class->queue->receive(waiter->handle, waiter->selector, *message,
						    room);
	if (got >= 0)
		space->size = sizeof(**message) + (size_t)got;
	return got;
}

/* As above, however long the message is. */
static ssize_t receive_any(struct ipcfs_waiter *waiter, struct ipcfs_text *space,
			   struct ipcfs_message **message)
{
	size_t room = waiter->object->room;
	ssize_t got;

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	while ((got = receive_one(waiter, space, room, message)) == -EMSGSIZE &&
	       room < INT_MAX / 2) {
		room *= 2;
		waiter->object->room = room;
	}
	return got;
}

/* The message is the waiter's now: put it behind what it has. */
static int keep(struct ipcfs_waiter *waiter, const struct ipcfs_message *message, size_t size)
{
	struct ipcfs_taken taken = { .type = message->type, .size = size };
	size_t before = waiter->data.size;
	int err;

	if (waiter->framing < 0)
		err = ipcfs_text_add(&waiter->data, message->text, size);
	else
		err = ipcfs_frame_add((enum ipcfs_framing)waiter->framing, message, size,
				      &waiter->data);
	if (err)
		return err;
	taken.start = before;
	if (waiter->framing == IPCFS_FRAMING_TAGGED) {
		const char *tab = memchr(waiter->data.data + before, '\t',
					 waiter->data.size - before);

		taken.start = (size_t)(tab + 1 - waiter->data.data);
	}
	err = ipcfs_text_add(&waiter->taken, &taken, sizeof(taken));
	if (err)
		ipcfs_text_cut(&waiter->data, before);
	return err;
}

/* Keep it, or put it back where there is no memory for it. */
static int keep_or_return(struct ipcfs_waiter *waiter, const struct ipcfs_message *message,
			  size_t size)
{
	int err = keep(waiter, message, size);

	if (err) {
		waiter->object->returned++;
		ipcfs_transfer_put_back(waiter->fs, waiter->object, message->type, message->text,
					size);
	}
	return err;
}

static bool is_drain(const struct ipcfs_waiter *waiter)
{
	return waiter->open->node->key.kind == IPCFS_NODE_DRAIN;
}

/*
 * How many messages a drain may still take: at its first read what is there. It takes them off its account
 * at once.
 */
static int drain_begin(struct ipcfs_waiter *waiter, uint64_t *allowed)
{
	struct ipcfs_open *open = waiter->open;
	struct ipcfs_info info = { 0 };
	int err;

	*allowed = UINT64_MAX;
	if (!is_drain(waiter))
		return 0;
	err = waiter->object->class->queue->look(waiter->handle, &info);
	if (err && err != -EIDRM)
		return err;
	pthread_mutex_lock(&open->lock);
	*allowed = open->counted ? open->left : info.messages;
	open->left = 0;
	open->counted = true;
	pthread_mutex_unlock(&open->lock);
	return 0;
}

static void drain_end(struct ipcfs_waiter *waiter, uint64_t left, bool empty)
{
	if (!is_drain(waiter))
		return;
	pthread_mutex_lock(&waiter->open->lock);
	waiter->open->left = empty ? 0 : left;
	pthread_mutex_unlock(&waiter->open->lock);
}

/* One message, or with a large buffer as many whole ones as are there and fit. */
static int receive_frames(struct ipcfs_waiter *waiter, struct ipcfs_text *space)
{
	bool batch = waiter->size >= IPCFS_BATCH;
	struct ipcfs_message *message;
	uint64_t allowed;
	ssize_t got = 0;
	int err;

	err = drain_begin(waiter, &allowed);
	if (err)
		return err;
	while (allowed > 0) {
		size_t used = waiter->data.size + FRAME_OVERHEAD;

		if (!waiter->taken.size) {
			got = receive_any(waiter, space, &message);
		} else {
			size_t room = waiter->object->room;

			if (used + ROOM_MIN > waiter->size)
				break;
			if (room > waiter->size - used)
				room = waiter->size - used;
			got = receive_one(waiter, space, room, &message);
		}
		if (got < 0)
			break;
		allowed--;
		err = keep_or_return(waiter, message, (size_t)got);
		if (err || !batch)
			break;
	}
	drain_end(waiter, allowed, got < 0);
	if (waiter->taken.size)
		return 0;
	if (is_drain(waiter) && (got == -EAGAIN || got == -EIDRM))
		return 0; /* the end */
	return err ? err : (int)(got < 0 ? got : 0);
}

static int receive_whole(struct ipcfs_waiter *waiter, struct ipcfs_text *space)
{
	struct ipcfs_message *message;
	ssize_t got;

	if (waiter->open->node->key.kind == IPCFS_NODE_PACKETS)
		got = receive_one(waiter, space, waiter->size, &message);
	else
		got = receive_any(waiter, space, &message);
	return got < 0 ? (int)got : keep_or_return(waiter, message, (size_t)got);
}

ssize_t ipcfs_transfer_receive(struct ipcfs_waiter *waiter, bool wait)
{
	struct ipcfs_text space = { 0 };
	int err;

	(void)wait; /* waiting is for readiness, not in the call that takes */
	err = ipcfs_open_check(waiter->fs, waiter->open, IPCFS_RECEIVE, waiter->tid);
	if (err)
		return err;
	if (waiter->framing < 0)
		err = receive_whole(waiter, &space);
	else
		err = receive_frames(waiter, &space);
	ipcfs_text_free(&space);
	if (waiter->taken.size)
		ipcfs_room_moved(waiter->fs->room, waiter->object);
	return err;
}

int ipcfs_transfer_accept(struct ipcfs_waiter *waiter, long type)
{
	struct ipcfs_message empty = { .type = type };
	int err = ipcfs_open_check(waiter->fs, waiter->open, IPCFS_RECEIVE, waiter->tid);

	return err ? err : keep(waiter, &empty, 0);
}

/* The next message to send. 1: *frame says where; 0: there is no whole one; -EINVAL, -ERANGE. */
static int next_frame(const struct ipcfs_waiter *waiter, struct ipcfs_frame *frame)
{
	const char *data = waiter->data.data + waiter->sent;
	size_t size = waiter->data.size - waiter->sent;
	int found;

	if (waiter->framing < 0) {
		*frame = (struct ipcfs_frame){ .type = waiter->type, .size = size, .length = size };
		return waiter->sent == 0 || size;
	}
	if (size == 0)
		return 0;
	found = ipcfs_frame_next((enum ipcfs_framing)waiter->framing, data, size, waiter->last,
				 waiter->object->class->queue, frame);
	if (found == 1 && waiter->framing == IPCFS_FRAMING_LINES)
		frame->type = waiter->type;
	return found;
}

/* Is the unfinished line longer than any message may be? */
static int check_rest(struct ipcfs_waiter *waiter)
{
	size_t rest = waiter->data.size - waiter->sent;
	struct ipcfs_info info;
	int err;

	if (waiter->framing < 0 || rest == 0)
		return 0;
	err = waiter->object->class->queue->look(waiter->handle, &info);
	if (err)
		return err;
	if (waiter->framing == IPCFS_FRAMING_TAGGED)
		rest -= rest < FRAME_OVERHEAD ? rest : FRAME_OVERHEAD;
	return rest > info.max_message ? -EMSGSIZE : 0;
}

static int send_all(struct ipcfs_waiter *waiter, struct ipcfs_text *space, bool wait)
{
	const struct ipcfs_queue_ops *queue = waiter->object->class->queue;
	struct ipcfs_frame frame;
	int err;

	while ((err = next_frame(waiter, &frame)) > 0) {
		struct ipcfs_message *message = message_reserve(space, frame.size);

		if (!message)
			return -ENOMEM;
		message->type = frame.type;
		if (frame.size)
			memcpy(message->text, waiter->data.data + waiter->sent + frame.start,
			       frame.size);
		space->size = sizeof(*message) + frame.size;
		err = queue->send(waiter->handle, message, frame.size, wait);
		if (err)
			return err;
		waiter->sent += frame.length;
		if (waiter->framing < 0)
			return 0;
	}
	return err ? err : check_rest(waiter);
}

ssize_t ipcfs_transfer_send(struct ipcfs_waiter *waiter, bool wait)
{
	struct ipcfs_text space = { 0 };
	size_t before = waiter->sent;
	struct ipcfs_perm perm;
	int err;

	if (waiter->open)
		err = ipcfs_open_check(waiter->fs, waiter->open, IPCFS_SEND, waiter->tid);
	else
		err = waiter->object->class->queue->perm(waiter->handle, &perm); /* is it there? */
	if (err)
		return err;
	err = send_all(waiter, &space, wait);
	ipcfs_text_free(&space);
	if (waiter->sent != before || !err)
		ipcfs_room_moved(waiter->fs->room, waiter->object);
	return err;
}

void ipcfs_transfer_clear(struct ipcfs_waiter *waiter)
{
	ipcfs_text_free(&waiter->data);
	ipcfs_text_free(&waiter->taken);
}

/* Nobody to tell but the operator; a message goes with its queue, that is no loss. */
static void report_lost(const struct ipcfs_object *object, int err)
{
	if (err != -EIDRM && err != -ENOENT)
		ipcfs_log(LOG_ERR, "a message for %s/%s/%s is lost: %s", object->class->family,
			  object->class->class_name, object->ref.name, strerror(-err));
}

static void answer_detached(struct ipcfs_waiter *waiter, ssize_t result)
{
	if (result < 0)
		report_lost(waiter->object, (int)result);
	ipcfs_transfer_clear(waiter);
	ipcfs_object_close(&waiter->fs->objects, waiter->object, IPCFS_SEND);
}

int ipcfs_transfer_detached(struct ipcfs_waiter *waiter)
{
	ssize_t result;
	int err;

	waiter->req = NULL;
	waiter->open = NULL;
	waiter->direction = IPCFS_SEND;
	waiter->attempt = ipcfs_transfer_send;
	waiter->answer = answer_detached;
	err = ipcfs_object_open(&waiter->fs->objects, waiter->object, IPCFS_SEND, &waiter->handle);
	if (err) {
		report_lost(waiter->object, err);
		ipcfs_transfer_clear(waiter);
		return 0;
	}
	result = -EAGAIN;
	if (waiter->object->parked[IPCFS_SEND] == 0)
		result = waiter->attempt(waiter, false);
	if (result == -EAGAIN) {
		err = ipcfs_room_park(waiter->fs->room, waiter);
		if (!err)
			return 0;
		if (err == -EAGAIN && waiter->counted) {
			ipcfs_object_close(&waiter->fs->objects, waiter->object, IPCFS_SEND);
			return err;
		}
		result = err;
	}
	answer_detached(waiter, result);
	return 0;
}

void ipcfs_transfer_put_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type,
			     const char *text, size_t size)
{
	struct ipcfs_waiter waiter = {
		.fs = fs,
		.object = object,
		.type = type,
		.framing = -1,
		.last = true,
	};
	int err = ipcfs_text_add(&waiter.data, text, size);

	if (err)
		report_lost(object, err);
	else
		ipcfs_transfer_detached(&waiter);
}

void ipcfs_transfer_give_back(struct ipcfs_waiter *waiter)
{
	const struct ipcfs_taken *taken = (const void *)waiter->taken.data;
	size_t count = waiter->taken.size / sizeof(*taken);

	for (size_t i = 0; i < count; i++) {
		waiter->object->returned++;
		ipcfs_transfer_put_back(waiter->fs, waiter->object, taken[i].type,
					waiter->data.data + taken[i].start, taken[i].size);
	}
	ipcfs_text_cut(&waiter->data, 0);
	ipcfs_text_cut(&waiter->taken, 0);
}
