/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <poll.h>

#include "framing.h"
#include "reply.h"
#include "transfer.h"

int ipcfs_channel_framing(const struct ipcfs_node *node)
{
	switch (node->key.kind) {
	case IPCFS_NODE_LINES:
	case IPCFS_NODE_DRAIN:
		return IPCFS_FRAMING_LINES;
	case IPCFS_NODE_TAGGED:
		return IPCFS_FRAMING_TAGGED;
	default:
		return -1;
	}
}

/* Is this what the file is for? */
static int check_use(const struct ipcfs_filesystem *fs, const struct ipcfs_open *open)
{
	const struct ipcfs_node_key *key = &open->node->key;
	bool typed = open->object->class->queue->typed_receive;

	if (open->writes && key->kind == IPCFS_NODE_DRAIN)
		return -EPERM;
	if (open->reads && key->selected && !typed)
		return -EPERM; /* prio/N: receiving can't choose a priority */
	if (open->writes && key->selected && typed && key->selector < 0)
		return -EINVAL;
	if (open->reads && fs->settings.read_only)
		return -EROFS;
	return 0;
}

static int open_direction(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
			  enum ipcfs_direction direction)
{
	struct ipcfs_info info;
	int err;

	err = ipcfs_object_open(&fs->objects, open->object, direction, &open->handle[direction]);
	if (err)
		return err;
	if (open->object->room == 0) {
		err = ipcfs_open_look(fs, open, direction, open->opener.tid, &info);
		if (!err)
			open->object->room = info.max_message;
	} else {
		err = ipcfs_open_check(fs, open, direction, open->opener.tid);
	}
	if (err)
		ipcfs_object_close(&fs->objects, open->object, direction);
	return err;
}

int ipcfs_channel_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	int err = check_use(fs, open);

	if (!err && open->reads)
		err = open_direction(fs, open, IPCFS_RECEIVE);
	if (!err && open->writes) {
		err = open_direction(fs, open, IPCFS_SEND);
		if (err && open->reads)
			ipcfs_object_close(&fs->objects, open->object, IPCFS_RECEIVE);
	}
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

/* Bytes that no close has sent: the writer passed its descriptor on and went without closing it. */
static void send_left_over(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	const struct ipcfs_node_key *key = &open->node->key;

	while (open->pending) {
		struct ipcfs_pending *pending = open->pending;
		struct ipcfs_waiter waiter = {
			.fs = fs,
			.object = open->object,
			.type = key->selected ? key->selector
					      : open->object->class->queue->type_plain,
			.framing = ipcfs_channel_framing(open->node),
			.last = true,
			.data = pending->text,
		};

		pending->text = (struct ipcfs_text){ 0 };
		if (waiter.data.size && !ipcfs_open_check(fs, open, IPCFS_SEND, 0))
			ipcfs_transfer_detached(&waiter);
		else
			ipcfs_transfer_clear(&waiter);
		ipcfs_open_forget(open, pending->owner);
	}
}

void ipcfs_channel_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	ipcfs_room_unpoll(fs->room, open);
	send_left_over(fs, open);
	if (open->reads)
		ipcfs_object_close(&fs->objects, open->object, IPCFS_RECEIVE);
	if (open->writes)
		ipcfs_object_close(&fs->objects, open->object, IPCFS_SEND);
}

/* POLLIN, POLLOUT, ... now; -EACCES. */
static int ready_now(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		     enum ipcfs_direction direction, pid_t tid)
{
	const struct ipcfs_node_key *key = &open->node->key;
	long selector = key->selected && direction == IPCFS_RECEIVE ? key->selector : 0;
	int ready, err;

	err = ipcfs_open_check(fs, open, direction, tid);
	if (err == -EIDRM)
		return POLLERR | POLLHUP | POLLIN | POLLOUT;
	if (err)
		return err;
	ready = open->object->class->queue->ready(open->handle[direction], selector);
	if (ready == -EIDRM)
		return POLLERR | POLLHUP | POLLIN | POLLOUT;
	if (ready < 0)
		return ready;
	return ready & (direction == IPCFS_SEND ? POLLOUT : POLLIN);
}

static int poll_ready(struct ipcfs_filesystem *fs, struct ipcfs_open *open, pid_t tid)
{
	int events = 0, ready;
	bool rest;

	if (open->reads) {
		ready = ready_now(fs, open, IPCFS_RECEIVE, tid);
		if (ready < 0)
			return ready;
		events |= ready;
		pthread_mutex_lock(&open->lock);
		rest = open->at < open->text.size || open->end_due;
		pthread_mutex_unlock(&open->lock);
		if (rest || open->node->key.kind == IPCFS_NODE_DRAIN)
			events |= POLLIN;
	}
	if (open->writes) {
		ready = ready_now(fs, open, IPCFS_SEND, tid);
		if (ready < 0)
			return ready;
		events |= ready;
	}
	if (events & POLLIN)
		events |= POLLRDNORM;
	if (events & POLLOUT)
		events |= POLLWRNORM;
	return events;
}

void ipcfs_channel_poll(fuse_req_t req, struct ipcfs_open *open, unsigned events,
			struct fuse_pollhandle *handle)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	unsigned directions = 0;
	int ready = poll_ready(fs, open, fuse_req_ctx(req)->pid);
	int err = ready < 0 ? ready : 0;

	if (open->reads && (events & POLLIN) && !(ready & POLLIN))
		directions |= 1U << IPCFS_RECEIVE;
	if (open->writes && (events & POLLOUT) && !(ready & POLLOUT))
		directions |= 1U << IPCFS_SEND;
	if (handle && !err)
		err = ipcfs_room_poll(fs->room, open, directions, handle);
	else if (handle)
		fuse_pollhandle_destroy(handle);
	if (err)
		ipcfs_reply_error(req, err);
	else
		fuse_reply_poll(req, (unsigned)ready);
}
