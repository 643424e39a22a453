/* SPDX-License-Identifier: MIT */
/* Writing a channel file, and the close that completes it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "caller.h"
#include "channel.h"
#include "framing.h"
#include "reply.h"
#include "transfer.h"

static void start_send(struct ipcfs_waiter *waiter, fuse_req_t req, struct ipcfs_open *open,
		       uint64_t owner)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);
	const struct ipcfs_node_key *key = &open->node->key;

	*waiter = (struct ipcfs_waiter){
		.fs = ipcfs_of(req),
		.req = req,
		.open = open,
		.object = open->object,
		.direction = IPCFS_SEND,
		.handle = open->handle[IPCFS_SEND],
		.patient = true,
		.uid = context->uid,
		.tid = context->pid,
		.attempt = ipcfs_transfer_send,
		.owner = owner,
		.type = key->selected ? key->selector : open->object->class->queue->type_plain,
		.framing = ipcfs_channel_framing(open->node),
	};
}

/* Send now, or wait in line; answer. */
static void send_or_park(struct ipcfs_waiter *waiter, bool nonblock)
{
	ssize_t result = -EAGAIN;

	if (nonblock || waiter->object->parked[IPCFS_SEND] == 0)
		result = ipcfs_transfer_send(waiter, false);
	if (result == -EAGAIN && !nonblock) {
		result = ipcfs_room_park(waiter->fs->room, waiter);
		if (!result)
			return;
	}
	if (result == -EAGAIN)
		ipcfs_room_poll_again(waiter->fs->room, waiter->open, IPCFS_SEND);
	waiter->answer(waiter, result);
}

static void answer_packet(struct ipcfs_waiter *waiter, ssize_t result)
{
	if (result)
		ipcfs_reply_error(waiter->req, (int)result);
	else
		ipcfs_reply_count(waiter->req, waiter->size);
	ipcfs_transfer_clear(waiter);
}

static void write_packet(struct ipcfs_waiter *waiter, const char *bytes, size_t size, bool nonblock)
{
	int err = ipcfs_text_add(&waiter->data, bytes, size);

	waiter->answer = answer_packet;
	waiter->counted = true;
	waiter->size = size;
	if (err)
		answer_packet(waiter, err);
	else
		send_or_park(waiter, nonblock);
}

/* The bytes behind the last whole message stay pending for their owner. */
static int keep_pending(struct ipcfs_waiter *waiter, size_t from, size_t to, bool refused)
{
	struct ipcfs_open *open = waiter->open;
	struct ipcfs_pending *pending;
	int err = 0;

	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, waiter->owner, to > from || refused);
	if (pending) {
		pending->refused = refused;
		err = ipcfs_text_add(&pending->text, waiter->data.data + from, to - from);
		if (!pending->text.size && !refused)
			ipcfs_open_forget(open, waiter->owner);
	} else if (to > from) {
		err = -ENOMEM;
	}
	pthread_mutex_unlock(&open->lock);
	return err;
}

static void answer_lines(struct ipcfs_waiter *waiter, ssize_t result)
{
	size_t done = waiter->sent > waiter->carried ? waiter->sent - waiter->carried : 0;
	const char *bytes = waiter->data.data;
	int err = (int)result;

	if (!err) {
		err = keep_pending(waiter, waiter->sent, waiter->data.size, false);
		if (!err)
			done = waiter->size;
	} else if (!done && (err == -EAGAIN || err == -EINTR || err == -ENOMEM)) {
		/* nothing of this write was taken: the line it would have gone on with stays */
		keep_pending(waiter, 0, waiter->carried, false);
	} else if (!done && err == -EMSGSIZE) {
		size_t fresh = waiter->data.size - waiter->carried;

		/* the rest of the line, if more of it comes, is no message either */
		keep_pending(waiter, 0, 0, !memchr(bytes + waiter->carried, '\n', fresh));
	}
	if (err && !done)
		ipcfs_reply_error(waiter->req, err);
	else
		ipcfs_reply_count(waiter->req, done);
	ipcfs_transfer_clear(waiter);
}

/*
 * Take over what the owner has pending. False: what is written belongs to a line that was refused
 * (all of it), and so it is, too.
 */
static bool carry_over(struct ipcfs_waiter *waiter, const char **bytes, size_t *size)
{
	struct ipcfs_open *open = waiter->open;
	struct ipcfs_pending *pending;
	bool go_on = true;

	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, waiter->owner, false);
	if (pending && pending->refused) {
		const char *end = memchr(*bytes, '\n', *size);
		size_t skip = end ? (size_t)(end + 1 - *bytes) : *size;

		pending->refused = !end;
		*bytes += skip;
		*size -= skip;
		go_on = *size > 0;
	} else if (pending) {
		waiter->data = pending->text;
		pending->text = (struct ipcfs_text){ 0 };
	}
	if (pending && !pending->refused)
		ipcfs_open_forget(open, waiter->owner);
	pthread_mutex_unlock(&open->lock);
	return go_on;
}

static void write_lines(struct ipcfs_waiter *waiter, const char *bytes, size_t size, bool nonblock)
{
	const char *start = bytes;
	size_t skipped;
	int err = 0;

	waiter->answer = answer_lines;
	waiter->counted = true;
	if (!carry_over(waiter, &bytes, &size)) {
		ipcfs_reply_error(waiter->req, -EMSGSIZE);
		return;
	}
	skipped = (size_t)(bytes - start);
	waiter->carried = waiter->data.size;
	waiter->size = skipped + size;
	err = ipcfs_text_add(&waiter->data, bytes, size);
	if (err)
		answer_lines(waiter, err);
	else
		send_or_park(waiter, nonblock);
}

/* msg: bytes wait for the close. What can fail fails here, where shells look. */
static void write_msg(struct ipcfs_waiter *waiter, const char *bytes, size_t size, bool nonblock)
{
	struct ipcfs_open *open = waiter->open;
	struct ipcfs_pending *pending;
	struct ipcfs_info info;
	int err = ipcfs_open_look(waiter->fs, open, IPCFS_SEND, waiter->tid, &info);

	if (!err && waiter->object->parked[IPCFS_SEND] &&
	    ipcfs_account_is_full(waiter->fs->account, waiter->uid))
		err = -EAGAIN;
	if (err) {
		ipcfs_reply_error(waiter->req, err);
		return;
	}
	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, waiter->owner, true);
	if (!pending) {
		err = -ENOMEM;
	} else {
		pending->nonblock = nonblock;
		if (pending->refused || size > info.max_message ||
		    pending->text.size > info.max_message - size) {
			err = -EMSGSIZE;
			pending->refused = true;
			ipcfs_text_free(&pending->text);
		} else {
			err = ipcfs_text_add(&pending->text, bytes, size);
		}
	}
	pthread_mutex_unlock(&open->lock);
	if (err)
		ipcfs_reply_error(waiter->req, err);
	else
		ipcfs_reply_count(waiter->req, size);
}

void ipcfs_channel_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			 int flags, uint64_t owner)
{
	bool nonblock = flags & O_NONBLOCK;
	struct ipcfs_waiter waiter;

	start_send(&waiter, req, open, owner);
	if (open->node->key.kind == IPCFS_NODE_MSG)
		write_msg(&waiter, bytes, size, nonblock);
	else if (waiter.framing < 0)
		write_packet(&waiter, bytes, size, nonblock);
	else
		write_lines(&waiter, bytes, size, nonblock);
}

static void answer_flush(struct ipcfs_waiter *waiter, ssize_t result)
{
	ipcfs_reply_error(waiter->req, (int)result);
	ipcfs_transfer_clear(waiter);
}

/* Send what an exiting process leaves. It can't be woken any more, so it must not wait. */
static void flush_exiting(struct ipcfs_waiter *waiter)
{
	fuse_req_t req = waiter->req;
	struct ipcfs_waiter detached = *waiter;
	int err = ipcfs_open_check(waiter->fs, waiter->open, IPCFS_SEND, waiter->tid);

	if (err) {
		answer_flush(waiter, err);
		return;
	}
	detached.counted = true;
	if (ipcfs_transfer_detached(&detached) == 0) {
		ipcfs_reply_error(req, 0);
		return;
	}
	send_or_park(waiter, false); /* too many of those: it waits after all */
}

void ipcfs_channel_flush(fuse_req_t req, struct ipcfs_open *open, uint64_t owner)
{
	struct ipcfs_pending *pending;
	struct ipcfs_waiter waiter;
	bool nonblock = false;

	start_send(&waiter, req, open, owner);
	waiter.answer = answer_flush;
	waiter.last = true;
	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, owner, false);
	if (pending) {
		nonblock = pending->nonblock;
		waiter.data = pending->text;
		pending->text = (struct ipcfs_text){ 0 };
		ipcfs_open_forget(open, owner);
	}
	pthread_mutex_unlock(&open->lock);
	if (waiter.data.size == 0) {
		answer_flush(&waiter, 0);
		return;
	}
	switch (ipcfs_caller_state(waiter.tid)) {
	case IPCFS_CALLER_KILLED: /* in the middle of its message, for all we know */
		answer_flush(&waiter, -EINTR);
		break;
	case IPCFS_CALLER_EXITING:
		flush_exiting(&waiter);
		break;
	default:
		send_or_park(&waiter, nonblock);
	}
}
