/* SPDX-License-Identifier: MIT */
/* Reads of the files of a queue. */
#include <errno.h>
#include <fcntl.h>

#include "backends/contract/fault.h"
#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/queue/channel.h"
#include "fs/queue/lease.h"
#include "fs/queue/reader.h"
#include "fs/queue/transfer.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/wait/waits.h"

bool ipcfs_channel_has_rest(struct ipcfs_file *file)
{
	bool rest;

	pthread_mutex_lock(&file->lock);
	rest = file->at < file->text.size || file->queue.eof_next || file->queue.lease;
	pthread_mutex_unlock(&file->lock);
	return rest;
}

/*
 * Notes the process of a read that gets bytes of a message, or its end. Call with the file's lock
 * held.
 * -ENOMEM
 */
static int note_reader(const struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_file *file = waiter->base.file;

	if (file->key.kind != IPCFS_NODE_MSG)
		return 0;
	return ipcfs_reader_note(file, waiter->owner, waiter->base.tid);
}

/* Returns whether the process of a read has had its message. Call with the file's lock held. */
static bool has_ended(const struct ipcfs_queue_waiter *waiter)
{
	return ipcfs_reader_has_ended(waiter->base.file, waiter->owner, waiter->base.tid);
}

/*
 * Takes the end of file that the file gives next. Returns whether there is one. Behind that of a
 * leased message comes what is known about the message, and an end of file that stays.
 */
static bool take_end(struct ipcfs_file *file)
{
	bool end = file->queue.eof_next || file->queue.lease;

	file->queue.eof_next = false;
	if (file->queue.lease)
		file->queue.end = file->text.size;
	return end;
}

/*
 * Moves to *out what the read gets of the rest. Returns whether the file had a rest; if *out is
 * then empty, the rest was the end of file. A leased message is copied, and its end stays. *err is
 * 0, or -ENOMEM: the rest stays. Call with the file's lock held.
 */
static bool take_rest(const struct ipcfs_queue_waiter *waiter, struct ipcfs_text *out, int *err)
{
	struct ipcfs_file *file = waiter->base.file;
	size_t end = file->queue.lease ? file->queue.end : file->text.size;
	size_t size = waiter->size, count = end - file->at;

	*err = count || file->queue.eof_next ? note_reader(waiter) : 0;
	if (*err)
		return true;
	if (count == 0)
		return take_end(file);
	if (count > size)
		count = size;
	*err = ipcfs_text_add(out, file->text.data + file->at, count);
	if (*err)
		return true;
	file->at += count;
	if (file->at == file->text.size && !file->queue.lease) {
		ipcfs_text_free(&file->text);
		(void)ipcfs_file_charge(waiter->base.fs, file); /* fewer bytes never fail */
		file->at = 0;
		file->queue.eof_next = file->key.kind == IPCFS_NODE_MSG;
	}
	return true;
}

/* Returns whether the read is to be answered with the rest, or with the end of file that stays. */
static bool has_answer(const struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_file *file = waiter->base.file;
	bool ended;

	if (ipcfs_channel_has_rest(file))
		return true;
	pthread_mutex_lock(&file->lock);
	ended = has_ended(waiter);
	pthread_mutex_unlock(&file->lock);
	return ended;
}

/*
 * Answers a read with the rest, or with end of file if its process has had its message. Returns
 * false, without an answer, if the file has no rest.
 */
static bool answer_rest(const struct ipcfs_queue_waiter *waiter)
{
	fuse_req_t req = waiter->base.req;
	struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_text bytes = { 0 };
	int err = ipcfs_file_check(ipcfs_of(req), file, IPCFS_RECEIVE, waiter->base.tid);
	bool due = true, begun;

	if (!err) {
		pthread_mutex_lock(&file->lock);
		begun = ipcfs_effects_act();
		if (!has_ended(waiter))
			due = take_rest(waiter, &bytes, &err);
		if (due && !err)
			ipcfs_file_done(waiter->base.fs, file, (ssize_t)bytes.size, bytes.data);
		else
			ipcfs_effects_set(begun);
		pthread_mutex_unlock(&file->lock);
	}
	if (err)
		ipcfs_reply_error(req, err);
	else if (due)
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
	return due;
}

/*
 * Keeps in the open file what does not fit into the read. *fits says how many bytes of data the
 * reply has. If another read of the same open file has left a rest meanwhile, this read gets bytes
 * of that rest, and what it received is appended to the rest. Call before the reply, since the next
 * read may come at once.
 * -ENOMEM: also if max_bytes is reached.
 */
static int keep_rest(struct ipcfs_queue_waiter *waiter, size_t *fits)
{
	struct ipcfs_file *file = waiter->base.file;
	bool behind;
	int err;

	*fits = waiter->data.size < waiter->size ? waiter->data.size : waiter->size;
	pthread_mutex_lock(&file->lock);
	behind = file->at < file->text.size;
	if (behind)
		*fits = 0;
	else
		file->queue.message++;
	err = note_reader(waiter);
	if (!err && waiter->data.size > *fits)
		err = ipcfs_file_reserve(waiter->base.fs, file, waiter->data.size - *fits);
	if (!err && waiter->data.size > *fits)
		err = ipcfs_text_add(&file->text, waiter->data.data + *fits,
				     waiter->data.size - *fits);
	else if (!err && file->key.kind == IPCFS_NODE_MSG && *fits)
		file->queue.eof_next = true;
	if (!err && behind) {
		ipcfs_text_cut(&waiter->data, 0);
		ipcfs_transfer_confirm_all(waiter); /* the open file has the messages now */
		take_rest(waiter, &waiter->data, &err);
		*fits = waiter->data.size;
	}
	if (!err && (behind || file->text.size || file->key.kind == IPCFS_NODE_MSG ||
		     file->key.kind == IPCFS_NODE_DRAIN))
		ipcfs_file_done(waiter->base.fs, file, (ssize_t)*fits, waiter->data.data);
	pthread_mutex_unlock(&file->lock);
	return err;
}

/* Replies with the messages of a read. The file may be closed by then, and the object be gone. */
static void reply_messages(struct ipcfs_queue_waiter *waiter, size_t fits)
{
	struct ipcfs_waiter *base = &waiter->base;
	struct ipcfs_objects *objects = &base->fs->objects;
	struct ipcfs_object *object = base->object;
	bool confirms = object->class->queue->confirm;
	int handle;

	if (confirms) {
		ipcfs_object_ref(objects, object);
		(void)ipcfs_object_open(objects, object, IPCFS_RECEIVE, &handle); /* it is open */
	}
	if (ipcfs_reply_bytes(base->req, waiter->data.data, fits)) {
		/* The mount is gone. A rest that was kept goes with the open file. */
		ipcfs_transfer_put_back_all(waiter);
	} else if (confirms) {
		ipcfs_transfer_confirm_all(waiter);
	}
	if (confirms) {
		ipcfs_object_close(objects, object, IPCFS_RECEIVE);
		ipcfs_object_unref(objects, object);
	}
}

static void answer_read(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	int err = (int)result;
	size_t fits;

	(void)ipcfs_fault("read.answer");
	/*
	 * The kernel drops the reply to a killed reader without an error, so the daemon has to look
	 * before it replies. An interrupted reader that lives on gets its message: to put the
	 * message back would change the order of messages.
	 */
	if (!err && fuse_req_interrupted(waiter->base.req) && ipcfs_caller_ends(waiter->base.tid))
		err = -EINTR;
	if (!err)
		err = keep_rest(waiter, &fits);
	if (err) {
		ipcfs_transfer_put_back_all(waiter);
		ipcfs_reply_error(waiter->base.req, err);
	} else {
		reply_messages(waiter, fits);
	}
	ipcfs_transfer_clear(waiter);
}

static const struct ipcfs_waiter_ops read_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = ipcfs_transfer_receive,
	.answer = answer_read,
	.accept = ipcfs_transfer_accept,
};

/* Tells why no read of this size can ever succeed. 0: one can. */
static int check_read(const struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_file *file = waiter->base.file;

	if (file->key.kind == IPCFS_NODE_LEASE && !file->writes)
		return -EINVAL; /* no verdict could follow */
	if (waiter->framing == IPCFS_FRAMING_RECORDS && waiter->size < IPCFS_RECORD_HEADER)
		return -EMSGSIZE;
	return 0;
}

void ipcfs_channel_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	bool may_wait = !(io->flags & O_NONBLOCK) && file->key.kind != IPCFS_NODE_DRAIN;
	bool leases = file->key.kind == IPCFS_NODE_LEASE;
	struct ipcfs_queue_waiter waiter = {
		.base = ipcfs_waiter_of(req, file, IPCFS_RECEIVE,
					leases ? &ipcfs_lease_read_ops : &read_ops),
		.size = io->size,
		.owner = io->owner,
		.begun = ipcfs_clock_ns(),
		.framing = ipcfs_channel_framing(file),
	};
	struct ipcfs_waits *waits = waiter.base.fs->waits;
	bool expired = ipcfs_waits_poll_expired(waits, file, IPCFS_RECEIVE, true);
	ssize_t result = -EAGAIN;
	int err;

	waiter.base.selector = file->key.selected ? file->key.selector : 0;
	err = check_read(&waiter);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	if (has_answer(&waiter) && answer_rest(&waiter))
		return;
	if (!may_wait || expired)
		result = ipcfs_transfer_hurry(&waiter);
	else if (waiter.base.object->waits.parked[IPCFS_RECEIVE] == 0)
		result = waiter.base.ops->attempt(&waiter.base, false);
	if (result == -EAGAIN && expired)
		result = -ETIMEDOUT;
	if (result == -EAGAIN && may_wait) {
		result = ipcfs_waits_park(waits, &waiter.base);
		if (!result)
			return;
	}
	ipcfs_transfer_idle(&waiter.base);
	if (result == -EAGAIN || result == -ETIMEDOUT)
		ipcfs_waits_poll_again(waits, file, IPCFS_RECEIVE);
	waiter.base.ops->answer(&waiter.base, result);
}
