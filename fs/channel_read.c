/* SPDX-License-Identifier: MIT */
/* Reading a channel file. */
#include <errno.h>
#include <fcntl.h>

#include "caller.h"
#include "channel.h"
#include "reply.h"
#include "transfer.h"

/* The rest of a message, or the end of file behind it, is due before anything new. */
static bool has_rest(struct ipcfs_open *open)
{
	bool rest;

	pthread_mutex_lock(&open->lock);
	rest = open->at < open->text.size || open->end_due;
	pthread_mutex_unlock(&open->lock);
	return rest;
}

/*
 * Move what is due to *out, at most size bytes of it. False: nothing is due. Nothing moved, the end of
 * file was. Called with open->lock held; -ENOMEM in *err.
 */
static bool take_rest(struct ipcfs_open *open, size_t size, struct ipcfs_text *out, int *err)
{
	size_t count = open->text.size - open->at;

	*err = 0;
	if (count == 0) {
		bool end = open->end_due;

		open->end_due = false;
		return end;
	}
	if (count > size)
		count = size;
	*err = ipcfs_text_add(out, open->text.data + open->at, count);
	if (*err)
		return true;
	open->at += count;
	if (open->at == open->text.size) {
		ipcfs_text_free(&open->text);
		open->at = 0;
		open->end_due = open->node->key.kind == IPCFS_NODE_MSG;
	}
	return true;
}

/* Answer with what is due. False: nothing is, and nothing was answered. */
static bool answer_rest(fuse_req_t req, struct ipcfs_open *open, size_t size)
{
	struct ipcfs_text bytes = { 0 };
	int err = ipcfs_open_check(ipcfs_of(req), open, IPCFS_RECEIVE, fuse_req_ctx(req)->pid);
	bool due = true;

	if (!err) {
		pthread_mutex_lock(&open->lock);
		due = take_rest(open, size, &bytes, &err);
		pthread_mutex_unlock(&open->lock);
	}
	if (!err && due && bytes.size == 0) /* the end of a message */
		ipcfs_room_poll_again(ipcfs_of(req)->room, open, IPCFS_RECEIVE);
	if (err)
		ipcfs_reply_error(req, err);
	else if (due)
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
	return due;
}

/*
 * Keep what does not fit into the reader's buffer, before the reply: the next read may come at once.
 * *fits is what the reader gets. Where another read of the same open file has left a rest meanwhile, all of
 * this goes behind it.
 */
static int keep_rest(struct ipcfs_waiter *waiter, size_t *fits)
{
	struct ipcfs_open *open = waiter->open;
	bool behind;
	int err = 0;

	*fits = waiter->data.size < waiter->size ? waiter->data.size : waiter->size;
	pthread_mutex_lock(&open->lock);
	behind = open->at < open->text.size;
	if (behind)
		*fits = 0;
	if (waiter->data.size > *fits)
		err = ipcfs_text_add(&open->text, waiter->data.data + *fits,
				     waiter->data.size - *fits);
	else if (open->node->key.kind == IPCFS_NODE_MSG && *fits)
		open->end_due = true;
	if (!err && behind) {
		ipcfs_text_cut(&waiter->data, 0);
		ipcfs_text_cut(&waiter->taken, 0); /* what was kept is the open file's */
		take_rest(open, waiter->size, &waiter->data, &err);
		*fits = waiter->data.size;
	}
	pthread_mutex_unlock(&open->lock);
	return err;
}

static void answer_read(struct ipcfs_waiter *waiter, ssize_t result)
{
	int err = (int)result;
	size_t fits;

	/*
	 * A killed reader's reply goes nowhere, without an error: the last moment to ask is now. One that
	 * lives on gets its message, and the order is kept.
	 */
	if (!err && fuse_req_interrupted(waiter->req) && ipcfs_caller_ends(waiter->tid))
		err = -EINTR;
	if (!err)
		err = keep_rest(waiter, &fits);
	if (err) {
		ipcfs_transfer_give_back(waiter);
		ipcfs_reply_error(waiter->req, err);
	} else if (ipcfs_reply_bytes(waiter->req, waiter->data.data, fits)) {
		ipcfs_transfer_give_back(
			waiter); /* no close can come either: the rest goes with the file */
	}
	ipcfs_transfer_clear(waiter);
}

void ipcfs_channel_read(fuse_req_t req, struct ipcfs_open *open, size_t size, int flags)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);
	const struct ipcfs_node_key *key = &open->node->key;
	bool may_wait = !(flags & O_NONBLOCK) && key->kind != IPCFS_NODE_DRAIN;
	struct ipcfs_waiter waiter = {
		.fs = ipcfs_of(req),
		.req = req,
		.open = open,
		.object = open->object,
		.direction = IPCFS_RECEIVE,
		.handle = open->handle[IPCFS_RECEIVE],
		.selector = key->selected ? key->selector : 0,
		.counted = true,
		.uid = context->uid,
		.tid = context->pid,
		.attempt = ipcfs_transfer_receive,
		.answer = answer_read,
		.size = size,
		.framing = ipcfs_channel_framing(open->node),
	};
	ssize_t result = -EAGAIN;

	if (has_rest(open) && answer_rest(req, open, size))
		return;
	if (!may_wait || open->object->parked[IPCFS_RECEIVE] == 0) {
		result = ipcfs_transfer_receive(&waiter, false);
	}
	if (result == -EAGAIN && may_wait) {
		result = ipcfs_room_park(waiter.fs->room, &waiter);
		if (!result)
			return;
	}
	if (result == -EAGAIN)
		ipcfs_room_poll_again(waiter.fs->room, open, IPCFS_RECEIVE);
	answer_read(&waiter, result);
}
