/* SPDX-License-Identifier: MIT */
#include "fs/queue/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "fs/access/caller.h"
#include "fs/queue/framing.h"
#include "fs/queue/lease.h"
#include "fs/queue/lease_judge.h"
#include "fs/queue/reader.h"
#include "fs/queue/transfer.h"
#include "fs/request/file_check.h"
#include "fs/request/reply.h"
#include "fs/wait/waits.h"

/* Checks that a file of this kind may be opened for reading or writing, as it is opened. */
static int check_use(const struct ipcfs_filesystem *fs, const struct ipcfs_class *class,
		     const struct ipcfs_file *file)
{
	bool typed = class->queue->typed_receive;
	bool leases = file->key.kind == IPCFS_NODE_LEASE;

	if (leases && !file->reads)
		return -EINVAL; /* there would be no verdict to give */
	if (file->writes && file->key.kind == IPCFS_NODE_DRAIN)
		return -EPERM;
	if (file->reads && file->key.selected && !typed)
		return -EPERM; /* prio/N: a receiver can't choose the priority */
	if (file->writes && !leases && file->key.selected && typed && file->key.selector < 0)
		return -EINVAL;
	if (file->reads && fs->settings.read_only)
		return -EROFS;
	return 0;
}

/*
 * Returns whether the file has its queue open for sending. A class with `lease` does not send the
 * messages that go back.
 */
static bool opens_to_send(const struct ipcfs_object *object, const struct ipcfs_file *file)
{
	return file->writes && !(file->key.kind == IPCFS_NODE_LEASE && object->class->queue->lease);
}

/*
 * Opens the queue for sending, without a check: messages go back to it by the daemon's right.
 * Loads the opener, by whom `dead QUEUE` is judged.
 */
static int open_to_return(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	int err = ipcfs_caller_load(&file->opener);

	if (err || !opens_to_send(object, file))
		return err;
	return ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &file->handle[IPCFS_SEND]);
}

/*
 * Opens the queue for one direction, and checks the opener. The first open of a queue also learns
 * how large its messages may be.
 */
static int open_direction(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			  enum ipcfs_direction direction)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_info info;
	int err;

	err = ipcfs_object_open(&fs->objects, object, direction, &file->handle[direction]);
	if (err)
		return err;
	if (object->queue.largest_message == 0) {
		err = ipcfs_file_check_fstat(fs, file, direction, file->opener.tid, &info);
		if (!err)
			object->queue.largest_message = info.max_message;
	} else {
		err = ipcfs_file_check(fs, file, direction, file->opener.tid);
	}
	if (err)
		ipcfs_object_close(&fs->objects, object, direction);
	return err;
}

static int channel_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	int err = check_use(fs, object->class, file);

	(void)flags;
	if (!err && file->reads)
		err = open_direction(fs, file, IPCFS_RECEIVE);
	if (!err && file->writes) {
		err = file->key.kind == IPCFS_NODE_LEASE ? open_to_return(fs, file)
							 : open_direction(fs, file, IPCFS_SEND);
		if (err && file->reads)
			ipcfs_object_close(&fs->objects, object, IPCFS_RECEIVE);
	}
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

/* Opens what the open of a file has opened. */
static int open_again(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	int err = 0;

	if (file->reads)
		err = ipcfs_object_open(&fs->objects, object, IPCFS_RECEIVE,
					&file->handle[IPCFS_RECEIVE]);
	if (err || !file->writes)
		return err;
	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &file->handle[IPCFS_SEND]);
	if (err && file->reads)
		ipcfs_object_close(&fs->objects, object, IPCFS_RECEIVE);
	return err;
}

/* For struct ipcfs_file_ops. Messages of a broker have ended with their worker. */
static int channel_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	int err = ipcfs_file_object(fs, file)->class->space ? -ESTALE : open_again(fs, file);

	if (!err && file->key.kind == IPCFS_NODE_LEASE && file->writes)
		err = ipcfs_lease_restore(fs, file);
	if (err == -ENOENT || err == -ESTALE || err == -EIDRM)
		ipcfs_lease_drop(fs, file);
	return err;
}

/*
 * Sends what was written and not completed by a close of its writer: the writer passed its
 * descriptor to another process, which closed it last. An unfinished record is no message.
 */
static void send_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);

	while (file->pending) {
		struct ipcfs_pending *pending = ipcfs_file_take_pending(file, file->pending->owner);
		struct ipcfs_queue_waiter waiter = {
			.base = { .fs = fs,
				  .object = object,
				  .uid = file->opener.uid,
				  .charged = pending->charged },
			.type = ipcfs_channel_type(object->class, file),
			.framing = ipcfs_channel_framing(file),
			.last = true,
			.data = pending->text,
		};

		free(pending);
		if (waiter.data.size && waiter.framing != IPCFS_FRAMING_RECORDS &&
		    !ipcfs_file_check(fs, file, IPCFS_SEND, 0))
			ipcfs_transfer_send_detached(&waiter);
		else
			ipcfs_transfer_clear(&waiter);
	}
}

static void channel_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);

	ipcfs_waits_unpoll(fs->waits, file);
	send_pending(fs, file);
	ipcfs_lease_release(fs, file, 0);
	if (file->reads)
		ipcfs_object_close(&fs->objects, object, IPCFS_RECEIVE);
	if (opens_to_send(object, file))
		ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
}

/*
 * Returns the poll(2) events of one direction as they are now. A removed queue is ready for both
 * directions, with POLLERR and POLLHUP.
 * -EACCES: the opener may not use this direction.
 * Other errors of the checks.
 */
static int ready_now(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     enum ipcfs_direction direction, pid_t tid)
{
	const struct ipcfs_queue_ops *queue = ipcfs_file_object(fs, file)->class->queue;
	bool selects = file->key.selected && direction == IPCFS_RECEIVE;
	int ready, err;

	err = ipcfs_file_check(fs, file, direction, tid);
	if (err == -EIDRM)
		return POLLERR | POLLHUP | POLLIN | POLLOUT;
	if (err)
		return err;
	ready = queue->ready(file->handle[direction], selects ? file->key.selector : 0);
	if (ready == -EIDRM)
		return POLLERR | POLLHUP | POLLIN | POLLOUT;
	if (ready < 0)
		return ready;
	if (ipcfs_waits_poll_expired(fs->waits, file, direction, false))
		return direction == IPCFS_RECEIVE ? POLLIN : POLLOUT;
	if (direction == IPCFS_RECEIVE)
		return ready & POLLIN;
	/* A write to msg without waiting is refused while others wait (check_room). */
	return ipcfs_file_object(fs, file)->waits.parked[IPCFS_SEND] ? 0 : ready & POLLOUT;
}

/* Returns the poll(2) events of the file as they are now, or a negative errno as ready_now. */
static int poll_ready(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid)
{
	int events = 0, ready;

	if (file->reads) {
		ready = ready_now(fs, file, IPCFS_RECEIVE, tid);
		if (ready < 0)
			return ready;
		events |= ready;
		if (ipcfs_channel_has_rest(file) || file->key.kind == IPCFS_NODE_DRAIN ||
		    (!(ready & POLLIN) && ipcfs_reader_polls_end(file, tid)))
			events |= POLLIN;
	}
	if (file->writes && file->key.kind == IPCFS_NODE_LEASE) {
		events |= POLLOUT; /* a verdict does not wait */
	} else if (file->writes) {
		ready = ready_now(fs, file, IPCFS_SEND, tid);
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

static void channel_poll(fuse_req_t req, struct ipcfs_file *file, unsigned events,
			 struct fuse_pollhandle *handle)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	unsigned directions = 0;
	int ready = poll_ready(fs, file, fuse_req_ctx(req)->pid);
	int err = ready < 0 ? ready : 0;

	if (file->reads && (events & POLLIN) && !(ready & POLLIN))
		directions |= 1U << IPCFS_RECEIVE;
	if (file->writes && (events & POLLOUT) && !(ready & POLLOUT))
		directions |= 1U << IPCFS_SEND;
	if (handle && !err)
		err = ipcfs_waits_poll(fs->waits, file, directions, handle);
	else if (handle)
		fuse_pollhandle_destroy(handle);
	if (err)
		ipcfs_reply_error(req, err);
	else
		fuse_reply_poll(req, (unsigned)ready);
}

static void channel_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	if (file->key.kind == IPCFS_NODE_LEASE)
		ipcfs_lease_write(req, file, io);
	else
		ipcfs_channel_write(req, file, io);
}

const struct ipcfs_file_ops ipcfs_channel_file_ops = {
	.open = channel_open,
	.reopen = channel_reopen,
	.read = ipcfs_channel_read,
	.write = channel_write,
	.flush = ipcfs_channel_flush,
	.poll = channel_poll,
	.release = channel_release,
};
