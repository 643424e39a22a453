/* SPDX-License-Identifier: MIT */
#include "fs/control/events.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/access/caller.h"
#include "fs/control/events_text.h"
#include "fs/events/events.h"
#include "fs/request/file_check.h"
#include "fs/request/reply.h"

#define WAITER_BYTES 512 /* of a read that waits */

/* A read that waits for an event. */
struct ipcfs_event_waiter {
	fuse_req_t req;
	struct ipcfs_filesystem *fs;
	struct ipcfs_file *file; /* stays open until the answer */
	size_t wanted;		 /* bytes */
	uid_t uid;
	uint64_t changes; /* of the feed, before the last attempt */
	bool waits;	  /* in the feed's list */
	bool interrupted; /* while it was not in the list */
	int result;
	struct ipcfs_text bytes;
	struct ipcfs_event_waiter *next, *prev;
};

/* Attempts to read. *changes: those of the feed before. Errors as of ipcfs_events_fill. */
static int attempt(struct ipcfs_event_reading *reading, uint64_t *changes)
{
	struct ipcfs_file *file = reading->file;
	struct ipcfs_feed *feed = file->events.feed;
	int err = ipcfs_file_admitted(reading->fs, file, fuse_req_ctx(reading->req)->pid);

	pthread_mutex_lock(&file->lines.turn);
	pthread_mutex_lock(&feed->lock);
	*changes = feed->changes;
	if (!err)
		err = feed->ended;
	pthread_mutex_unlock(&feed->lock);
	if (!err)
		err = ipcfs_events_fill(reading);
	pthread_mutex_unlock(&file->lines.turn);
	return err;
}

static int attempt_waiter(struct ipcfs_event_waiter *waiter)
{
	struct ipcfs_event_reading reading = {
		.req = waiter->req,
		.fs = waiter->fs,
		.file = waiter->file,
		.wanted = waiter->wanted,
	};
	int err = attempt(&reading, &waiter->changes);

	waiter->bytes = reading.bytes;
	return err;
}

static void reply(fuse_req_t req, int err, struct ipcfs_text *bytes)
{
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, bytes->data, bytes->size);
	ipcfs_text_free(bytes);
}

/* Answers a waiter that is in no list, and frees it. */
static void answer(struct ipcfs_event_waiter *waiter)
{
	ipcfs_quota_waited(waiter->fs->quota, waiter->uid);
	ipcfs_quota_release(waiter->fs->quota, waiter->uid, WAITER_BYTES);
	reply(waiter->req, waiter->result, &waiter->bytes);
	free(waiter);
}

/*
 * Ends a wait, as the kernel sent INTERRUPT. For fuse_req_interrupt_func. A request that is not in
 * the list is left to the thread that attempts it: fuse_req_interrupt_func itself may be calling.
 */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct ipcfs_event_waiter *waiter = data;
	struct ipcfs_feed *feed = waiter->file->events.feed;
	bool waits;

	(void)req;
	pthread_mutex_lock(&feed->lock);
	waits = waiter->waits;
	if (waits)
		DL_DELETE(feed->waiting, waiter);
	waiter->waits = false;
	waiter->interrupted = !waits;
	pthread_mutex_unlock(&feed->lock);
	if (!waits)
		return;
	waiter->result = -EINTR;
	answer(waiter);
}

/* Adds a waiter that found nothing to the feed's list. Returns false if its wait ends instead. */
static bool wait_on(struct ipcfs_event_waiter *waiter)
{
	struct ipcfs_feed *feed = waiter->file->events.feed;
	bool waits;

	(void)ipcfs_fault("events.wait");
	pthread_mutex_lock(&feed->lock);
	waits = !feed->ended && !waiter->interrupted;
	waiter->result = feed->ended ? feed->ended : -EINTR;
	waiter->waits = waits;
	if (waits)
		DL_APPEND(feed->waiting, waiter);
	if (waits && feed->changes != waiter->changes) {
		feed->news = true;
		pthread_cond_signal(&feed->serve);
	}
	pthread_mutex_unlock(&feed->lock);
	return waits;
}

/* Ends a wait with waiter->result. */
static void finish(struct ipcfs_event_waiter *waiter)
{
	fuse_req_interrupt_func(waiter->req, NULL, NULL); /* waits for on_interrupt */
	answer(waiter);
}

/*
 * Counts a read that waits.
 * -EAGAIN: max_waiters is reached.
 * -ENOMEM: also if max_bytes is reached.
 */
static int count_waiter(struct ipcfs_quota *quota, uid_t uid)
{
	int err = ipcfs_quota_wait(quota, uid);

	if (err)
		return err;
	err = ipcfs_quota_charge(quota, uid, WAITER_BYTES);
	if (err)
		ipcfs_quota_waited(quota, uid);
	return err;
}

/* Has a read wait that found nothing. */
static void park(const struct ipcfs_event_reading *reading, uint64_t changes)
{
	struct ipcfs_event_waiter *waiter = malloc(sizeof(*waiter));
	uid_t uid = fuse_req_ctx(reading->req)->uid;
	int err = waiter ? count_waiter(reading->fs->quota, uid) : -ENOMEM;

	if (err) {
		free(waiter);
		ipcfs_reply_error(reading->req, err);
		return;
	}
	*waiter = (struct ipcfs_event_waiter){
		.req = reading->req,
		.fs = reading->fs,
		.file = reading->file,
		.wanted = reading->wanted,
		.uid = uid,
		.changes = changes,
	};
	fuse_req_interrupt_func(waiter->req, on_interrupt, waiter);
	if (!wait_on(waiter))
		finish(waiter);
}

static void events_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct ipcfs_event_reading reading = {
		.req = req,
		.fs = ipcfs_of(req),
		.file = file,
		.wanted = io->size,
	};
	uint64_t changes;
	int err = attempt(&reading, &changes);

	if (err == -EAGAIN) { /* an edge-triggered epoll asked once, and will not ask again */
		pthread_mutex_lock(&file->events.feed->lock);
		file->events.notified = false;
		pthread_mutex_unlock(&file->events.feed->lock);
	}
	if (err == -EAGAIN && !(io->flags & O_NONBLOCK))
		park(&reading, changes);
	else
		reply(req, err, &reading.bytes);
}

/* Tells the pollers. Call with feed->lock held. */
static void tell_pollers(struct ipcfs_feed *feed)
{
	struct ipcfs_event_reader *reader;

	DL_FOREACH2(feed->all, reader, next_reader)
	{
		if (!reader->poll || reader->notified)
			continue;
		reader->notified = true;
		fuse_lowlevel_notify_poll(reader->poll);
	}
}

void ipcfs_events_serve(struct ipcfs_feed *feed)
{
	struct ipcfs_event_waiter *waiter, *waiting;
	const struct ipcfs_space *before;
	int err = ipcfs_space_enter(feed->view->ipc, &before);

	pthread_mutex_lock(&feed->lock);
	waiting = feed->waiting;
	feed->waiting = NULL;
	DL_FOREACH (waiting, waiter)
		waiter->waits = false;
	tell_pollers(feed);
	pthread_mutex_unlock(&feed->lock);
	while (waiting) {
		waiter = waiting;
		DL_DELETE(waiting, waiter);
		waiter->result = err ? err : attempt_waiter(waiter);
		if (waiter->result != -EAGAIN || !wait_on(waiter))
			finish(waiter);
	}
	if (!err)
		ipcfs_space_leave(before);
}

static int events_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	int err = file->writes ? -EPERM : ipcfs_caller_load(&file->opener);

	(void)flags;
	if (err)
		return err;
	file->events.uid = file->opener.uid;
	err = ipcfs_feed_join(&fs->events, ipcfs_view_at(fs->registry, file->key.view),
			      &file->events);
	if (err)
		return err;
	pthread_mutex_lock(&file->lock);
	err = ipcfs_file_charge(fs, file); /* the ring, too */
	pthread_mutex_unlock(&file->lock);
	if (err)
		ipcfs_feed_leave(&file->events);
	return err;
}

/* No one writes: it opens for reading only. */
static void events_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	(void)file;
	(void)io;
	ipcfs_reply_error(req, -EBADF);
}

/* Keeps the handle, if any, until the next poll or the close. */
static void set_poll(struct ipcfs_event_reader *reader, struct fuse_pollhandle *handle)
{
	struct fuse_pollhandle *old;

	pthread_mutex_lock(&reader->feed->lock);
	old = reader->poll;
	reader->poll = handle;
	reader->notified = false;
	pthread_mutex_unlock(&reader->feed->lock);
	if (old)
		fuse_pollhandle_destroy(old);
}

static void events_poll(fuse_req_t req, struct ipcfs_file *file, unsigned events,
			struct fuse_pollhandle *handle)
{
	struct ipcfs_event_reading reading = {
		.req = req,
		.fs = ipcfs_of(req),
		.file = file,
		.looks = true,
	};
	uint64_t changes;
	int err;

	(void)events;
	if (handle)
		set_poll(&file->events, handle);
	err = attempt(&reading, &changes);
	if (err == -ERESTART)
		ipcfs_reply_error(req, err);
	else if (err == -EAGAIN)
		fuse_reply_poll(req, 0);
	else
		fuse_reply_poll(req, POLLIN | POLLRDNORM | (err ? POLLERR : 0));
}

static void events_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	(void)fs;
	set_poll(&file->events, NULL);
	ipcfs_feed_leave(&file->events);
}

const struct ipcfs_file_ops ipcfs_events_file_ops = {
	.open = events_open,
	.read = events_read,
	.write = events_write,
	.poll = events_poll,
	.release = events_release,
};
