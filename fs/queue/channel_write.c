/* SPDX-License-Identifier: MIT */
/* Writes to the files of a queue, and the close(2) that completes a message. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/access/caller.h"
#include "fs/base/unanswered.h"
#include "fs/queue/channel.h"
#include "fs/queue/framing.h"
#include "fs/queue/reader.h"
#include "fs/queue/transfer.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/wait/waits.h"

/*
 * Sends now and answers, or parks the waiter unless `nonblock`. A sender that may wait does not
 * overtake a parked one. What a class copies it gets from the wait room, which charges for it.
 */
static void send_or_park(struct ipcfs_queue_waiter *waiter, bool nonblock)
{
	struct ipcfs_waiter *base = &waiter->base;
	bool behind = base->object->waits.parked[IPCFS_SEND] > 0;
	ssize_t result = -EAGAIN;

	if (nonblock || (waiter->expired && !behind))
		result = ipcfs_transfer_hurry(waiter);
	else if (!behind && !ipcfs_transfer_copied(waiter))
		result = ipcfs_transfer_send(base, false);
	else
		base->untried = !behind;
	if (result == -EAGAIN && waiter->expired)
		result = -ETIMEDOUT;
	if (result == -EAGAIN && !nonblock) {
		result = ipcfs_waits_park(base->fs->waits, base);
		if (!result)
			return;
	}
	if (result == -EAGAIN || result == -ETIMEDOUT)
		ipcfs_waits_poll_again(base->fs->waits, base->file, IPCFS_SEND);
	base->ops->answer(base, result);
}

static void answer_packet(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);

	ipcfs_transfer_forget(waiter);
	ipcfs_reply_write(waiter->base.req, (int)result, waiter->size);
	ipcfs_transfer_clear(waiter);
}

static void write_packet(struct ipcfs_queue_waiter *waiter, const char *bytes, size_t size,
			 bool nonblock)
{
	int err = ipcfs_text_add(&waiter->data, bytes, size);

	waiter->size = size;
	waiter->base.kept = waiter->data.capacity + ipcfs_transfer_copied(waiter);
	if (err)
		answer_packet(&waiter->base, err);
	else
		send_or_park(waiter, nonblock);
}

/*
 * Keeps the bytes of data from `from` to `to` for the owner's next write or close. With `refused`,
 * what follows up to a newline is refused.
 * -ENOMEM
 */
static int keep_pending(struct ipcfs_queue_waiter *waiter, size_t from, size_t to, bool refused)
{
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_pending *pending;
	int err = 0;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(waiter->base.fs, file, waiter->owner, to > from || refused);
	if (pending) {
		pending->refused = refused;
		err = ipcfs_pending_reserve(waiter->base.fs, file, pending, to - from);
		if (!err)
			err = ipcfs_text_add(&pending->text, waiter->data.data + from, to - from);
		if (!err && !pending->text.size && !refused)
			ipcfs_file_drop_pending(waiter->base.fs, file, waiter->owner);
	} else if (to > from) {
		err = -ENOMEM;
	}
	pthread_mutex_unlock(&file->lock);
	return err;
}

/* Returns whether the same write may succeed later. */
static bool is_for_now(int err)
{
	return err == -EAGAIN || err == -EINTR || err == -ENOMEM || err == -ETIMEDOUT ||
	       err == -EHOSTDOWN;
}

/*
 * Returns whether the line that was too long goes on after this write: more bytes of it are refused
 * as well. A record is refused with its header, before the rest of it was written.
 */
static bool goes_on(const struct ipcfs_queue_waiter *waiter)
{
	const char *written = waiter->data.data + waiter->carried;

	return waiter->framing != IPCFS_FRAMING_RECORDS &&
	       !memchr(written, '\n', waiter->data.size - waiter->carried);
}

/* Notes the answer to a write or a close, if it has changed what is pending. */
static void note_done(const struct ipcfs_queue_waiter *waiter, ssize_t result, bool changed)
{
	struct ipcfs_file *file = waiter->base.file;

	pthread_mutex_lock(&file->lock);
	if (changed || file->pending)
		ipcfs_file_done(waiter->base.fs, file, result, NULL);
	pthread_mutex_unlock(&file->lock);
}

static void answer_lines(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	size_t done = waiter->sent > waiter->carried ? waiter->sent - waiter->carried : 0;
	int err = (int)result;

	if (!err) {
		err = keep_pending(waiter, waiter->sent, waiter->data.size, false);
		if (!err)
			done = waiter->size;
	}
	if (err && !done && is_for_now(err)) {
		/* Nothing of this write was sent. The unfinished part of earlier writes stays. */
		keep_pending(waiter, 0, waiter->carried, false);
	} else if (err && !done && err == -EMSGSIZE) {
		keep_pending(waiter, 0, 0, goes_on(waiter));
	} else if (err) {
		keep_pending(waiter, 0, 0, false);
	}
	ipcfs_transfer_forget(waiter);
	note_done(waiter, done ? (ssize_t)done : err, waiter->carried > 0);
	ipcfs_reply_write(waiter->base.req, done ? 0 : err, done);
	ipcfs_transfer_clear(waiter);
}

/*
 * Moves what the owner has pending to data. It stays counted, for answer_lines may put it back. If
 * the owner's line was refused, skips the bytes up to its end. Returns false if no other bytes are
 * left: the write is refused, too.
 */
static bool carry_over(struct ipcfs_queue_waiter *waiter, const char **bytes, size_t *size)
{
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_pending *pending;
	bool go_on = true;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(waiter->base.fs, file, waiter->owner, false);
	if (pending && pending->refused) {
		const char *end = memchr(*bytes, '\n', *size);
		size_t skip = end ? (size_t)(end + 1 - *bytes) : *size;

		pending->refused = !end;
		*bytes += skip;
		*size -= skip;
		go_on = *size > 0;
		if (end)
			ipcfs_file_drop_pending(waiter->base.fs, file, waiter->owner);
		ipcfs_file_done(waiter->base.fs, file, go_on ? -EIO : -EMSGSIZE, NULL);
	} else if (pending) {
		waiter->data = pending->text;
		pending->text = (struct ipcfs_text){ 0 };
	}
	pthread_mutex_unlock(&file->lock);
	return go_on;
}

static void write_lines(struct ipcfs_queue_waiter *waiter, const char *bytes, size_t size,
			bool nonblock)
{
	const char *start = bytes;
	size_t skipped;
	int err = 0;

	if (!carry_over(waiter, &bytes, &size)) {
		ipcfs_reply_error(waiter->base.req, -EMSGSIZE);
		return;
	}
	skipped = (size_t)(bytes - start);
	waiter->carried = waiter->data.size;
	waiter->size = skipped + size;
	err = ipcfs_text_add(&waiter->data, bytes, size);
	waiter->base.kept = waiter->data.capacity + ipcfs_transfer_copied(waiter);
	if (err)
		answer_lines(&waiter->base, err);
	else
		send_or_park(waiter, nonblock);
}

/* Notes in `carried` how many bytes of its message the owner has written before. */
static void note_carried(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_file *file = waiter->base.file;
	const struct ipcfs_pending *pending;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(waiter->base.fs, file, waiter->owner, false);
	waiter->carried = pending ? pending->text.size : 0;
	pthread_mutex_unlock(&file->lock);
}

/*
 * Returns 0 if the queue has room now for the message as far as it is written, as msgsnd(2) counts.
 * -EAGAIN: it has none.
 * The errors of ready in struct ipcfs_queue_ops.
 */
static int room_now(const struct ipcfs_queue_waiter *waiter, const struct ipcfs_info *info)
{
	size_t bytes = waiter->carried + waiter->size;
	int ready = waiter->base.object->class->queue->ready(waiter->base.handle, 0);

	if (ready < 0)
		return ready;
	/* POSIX queues count messages only */
	if (info->max_bytes &&
	    (info->size > info->max_bytes || bytes > info->max_bytes - info->size))
		return -EAGAIN;
	return ready & POLLOUT ? 0 : -EAGAIN;
}

/*
 * Checks that a close could send a message now, or wait to send it.
 * -EAGAIN: with O_NONBLOCK, the queue has no room, or other senders wait. With a deadline so, too,
 * for the first write of a message: what write(2) has accepted, the close hands over. Without both,
 * other senders wait, and the uid has too many waiters.
 */
static int check_room(struct ipcfs_queue_waiter *waiter, const struct ipcfs_info *info,
		      bool nonblock)
{
	const struct ipcfs_waiter *base = &waiter->base;
	bool behind = base->object->waits.parked[IPCFS_SEND] > 0;

	if (!nonblock && !base->deadline)
		return behind && ipcfs_quota_is_full(base->fs->quota, base->uid) ? -EAGAIN : 0;
	note_carried(waiter);
	if (!nonblock && waiter->carried)
		return 0;
	if (waiter->carried + waiter->size > info->max_message)
		return 0; /* keep_message refuses it */
	return behind ? -EAGAIN : room_now(waiter, info);
}

/*
 * Keeps the bytes of a write to msg until the close, which sends them as one message.
 * -EMSGSIZE: the message is too long. Later writes until the close are refused too.
 * -ENOMEM: also if max_bytes is reached, or the open file has too many unfinished messages.
 */
static int keep_message(struct ipcfs_queue_waiter *waiter, const char *bytes, size_t size,
			bool nonblock, size_t max)
{
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_pending *pending;
	int err;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(waiter->base.fs, file, waiter->owner, true);
	if (!pending) {
		err = -ENOMEM;
	} else {
		pending->nonblock = nonblock;
		if (pending->refused || size > max || pending->text.size > max - size) {
			err = -EMSGSIZE;
			pending->refused = true;
			ipcfs_text_free(&pending->text);
			(void)ipcfs_pending_reserve(waiter->base.fs, file, pending, 0);
		} else {
			err = ipcfs_pending_reserve(waiter->base.fs, file, pending, size);
			if (!err)
				err = ipcfs_text_add(&pending->text, bytes, size);
		}
		ipcfs_file_done(waiter->base.fs, file, err ? err : (ssize_t)size, NULL);
	}
	pthread_mutex_unlock(&file->lock);
	return err;
}

/* Sleeps between two looks whether a queue has room: the longer, the longer the wait lasts. */
static void sleep_for_room(const struct ipcfs_waiter *base)
{
	time_t waited = time(NULL) - base->since;
	long ms = waited < 2 ? 20 : waited < 20 ? 100 : 500;

	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/*
 * Attempts what a write to within/SECONDS/msg waits for: room in the queue. For struct
 * ipcfs_waiter_ops. Takes nothing. No call of System V waits for room, so with `wait` it sleeps.
 */
static ssize_t attempt_room(struct ipcfs_waiter *base, bool wait)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	struct ipcfs_info info;
	int err = ipcfs_file_check_fstat(base->fs, base->file, IPCFS_SEND, base->tid, &info);

	if (!err && waiter->size <= info.max_message) /* else answer_room refuses it */
		err = room_now(waiter, &info);
	if (err == -EAGAIN && wait)
		sleep_for_room(base);
	return err;
}

static void answer_room(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	struct ipcfs_info info = { 0 };
	int err = (int)result;

	if (!err)
		err = ipcfs_file_check_fstat(base->fs, base->file, IPCFS_SEND, base->tid, &info);
	if (!err)
		err = keep_message(waiter, waiter->data.data, waiter->size, true, info.max_message);
	ipcfs_reply_write(base->req, err, waiter->size);
	ipcfs_transfer_clear(waiter);
}

/* The writer is to stop: the write is accepted, and the close hands the message to the daemon. */
static ssize_t detach_room(struct ipcfs_waiter *base, struct ipcfs_waiter **detached)
{
	(void)base, (void)detached;
	return 0;
}

static const struct ipcfs_waiter_ops room_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = attempt_room,
	.answer = answer_room,
	.detach = detach_room,
};

/* Waits until the queue has room, and then keeps the bytes for the close. */
static void wait_for_room(struct ipcfs_queue_waiter *waiter, const char *bytes, size_t size)
{
	struct ipcfs_waiter *base = &waiter->base;
	int err = ipcfs_text_add(&waiter->data, bytes, size);

	base->ops = &room_ops;
	base->kept = waiter->data.capacity;
	if (!err)
		err = ipcfs_waits_park(base->fs->waits, base);
	if (err)
		answer_room(base, err);
}

/*
 * Answers a write to msg. Errors are found here if they can be, since shells look at the result of
 * write(2) and not of close(2). So the write waits for room where the wait has a deadline, and the
 * close does not wait any more.
 */
static void write_msg(struct ipcfs_queue_waiter *waiter, const char *bytes, size_t size,
		      bool nonblock)
{
	struct ipcfs_waiter *base = &waiter->base;
	bool has_deadline = base->deadline != 0;
	struct ipcfs_info info;
	int err = ipcfs_file_check_fstat(base->fs, base->file, IPCFS_SEND, base->tid, &info);

	waiter->size = size;
	if (!err && size <= info.max_message)
		err = check_room(waiter, &info, nonblock);
	if (err == -EAGAIN && waiter->expired)
		err = -ETIMEDOUT;
	if (err == -EAGAIN && !nonblock && has_deadline) {
		wait_for_room(waiter, bytes, size);
		return;
	}
	if (err == -EAGAIN || err == -ETIMEDOUT)
		ipcfs_waits_poll_again(base->fs->waits, base->file, IPCFS_SEND);
	if (!err)
		err = keep_message(waiter, bytes, size, nonblock || has_deadline, info.max_message);
	ipcfs_reply_write(waiter->base.req, err, size);
}

static const struct ipcfs_waiter_ops packet_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = ipcfs_transfer_send,
	.answer = answer_packet,
	.detach = ipcfs_transfer_detach,
};

static const struct ipcfs_waiter_ops lines_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = ipcfs_transfer_send,
	.answer = answer_lines,
	.detach = ipcfs_transfer_detach,
};

static void answer_flush(struct ipcfs_waiter *base, ssize_t result)
{
	ipcfs_transfer_forget(ipcfs_queue_waiter(base));
	if (ipcfs_queue_waiter(base)->data.size)
		note_done(ipcfs_queue_waiter(base), result, true);
	ipcfs_reply_error(base->req, (int)result);
	ipcfs_transfer_clear(ipcfs_queue_waiter(base));
}

static const struct ipcfs_waiter_ops flush_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = ipcfs_transfer_send,
	.answer = answer_flush,
	.detach = ipcfs_transfer_detach,
};

/* Returns a waiter that sends, for a write or a close by this owner. */
static struct ipcfs_queue_waiter sender(fuse_req_t req, struct ipcfs_file *file, uint64_t owner,
					const struct ipcfs_waiter_ops *ops)
{
	struct ipcfs_queue_waiter waiter = {
		.base = ipcfs_waiter_of(req, file, IPCFS_SEND, ops),
		.owner = owner,
		.begun = ipcfs_clock_ns(),
		.framing = ipcfs_channel_framing(file),
	};

	waiter.type = ipcfs_channel_type(waiter.base.object->class, file);
	waiter.base.ignores_default_signals = true;
	return waiter;
}

void ipcfs_channel_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	bool nonblock = io->flags & O_NONBLOCK;
	bool whole = ipcfs_channel_framing(file) == IPCFS_FRAMING_NONE;
	struct ipcfs_queue_waiter waiter = sender(req, file, io->owner,
						  whole ? &packet_ops : &lines_ops);

	waiter.expired = ipcfs_waits_poll_expired(waiter.base.fs->waits, file, IPCFS_SEND, true);

	if (file->key.kind == IPCFS_NODE_MSG)
		write_msg(&waiter, io->bytes, io->size, nonblock);
	else if (whole)
		write_packet(&waiter, io->bytes, io->size, nonblock);
	else
		write_lines(&waiter, io->bytes, io->size, nonblock);
}

/* Notes that a close has succeeded, and that its message is on its way. */
static void note_closed(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	pthread_mutex_lock(&file->lock);
	ipcfs_file_done(fs, file, 0, NULL);
	pthread_mutex_unlock(&file->lock);
}

/*
 * Sends without waiting, by a detached waiter if the queue is full: the process has asked not to
 * wait (O_NONBLOCK), or it exits, and signals no longer wake it.
 */
static void flush_detached(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_waiter *base = &waiter->base;
	bool behind = base->object->waits.parked[IPCFS_SEND] > 0;
	ssize_t result = behind ? ipcfs_file_check(base->fs, base->file, IPCFS_SEND, base->tid)
				: ipcfs_transfer_send(base, false);

	if (result == -EAGAIN || (!result && behind)) {
		struct ipcfs_filesystem *fs = base->fs;
		struct ipcfs_file *file = base->file;
		fuse_req_t req = base->req;

		ipcfs_transfer_send_detached(waiter);
		note_closed(fs, file);
		ipcfs_reply_error(req, 0);
	} else {
		answer_flush(base, result);
	}
}

/*
 * Moves what the owner has pending to data, with what is charged for it. Returns whether the
 * owner's last write had O_NONBLOCK.
 */
static bool take_pending(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_pending *pending;
	bool nonblock = false;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_take_pending(file, waiter->owner);
	pthread_mutex_unlock(&file->lock);
	if (pending) {
		nonblock = pending->nonblock;
		waiter->data = pending->text;
		waiter->base.charged = pending->charged;
		waiter->base.uid = file->opener.uid; /* it is charged to the opener */
		free(pending);
	}
	return nonblock;
}

void ipcfs_channel_flush(fuse_req_t req, struct ipcfs_file *file, uint64_t owner)
{
	struct ipcfs_queue_waiter waiter = sender(req, file, owner, &flush_ops);
	bool nonblock = take_pending(&waiter);

	if (waiter.base.tid == 0)
		ipcfs_reader_forget(file, owner);
	waiter.base.counted = false;
	waiter.base.closes = true;
	waiter.base.kept = ipcfs_transfer_copied(&waiter); /* data is charged already */
	waiter.last = true;
	if (waiter.data.size == 0) {
		answer_flush(&waiter.base, 0);
		return;
	}
	if (waiter.framing == IPCFS_FRAMING_RECORDS) {
		answer_flush(&waiter.base, -EINVAL); /* an unfinished record is no message */
		return;
	}
	switch (ipcfs_caller_state(waiter.base.tid)) {
	case IPCFS_CALLER_KILLED: /* perhaps in the middle of its message */
		answer_flush(&waiter.base, -EINTR);
		break;
	case IPCFS_CALLER_EXITING:
		flush_detached(&waiter);
		break;
	default:
		if (nonblock)
			flush_detached(&waiter);
		else
			send_or_park(&waiter, false);
	}
}
