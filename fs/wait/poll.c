/* SPDX-License-Identifier: MIT */
/* poll(2), select(2) and epoll(7): notifies callers when a queue becomes ready. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/wait/waitqueue.h"
#include "fs/wait/waits.h"
#include "fs/wait/waits_inside.h"

/* ns for which a caller may take to read or write after its poll(2) has ended by time */
#define EXPIRED_NS 1000000000
#define POLL_TIME 5000 /* ms after the last poller was added: all are notified, ready or not */

/* Takes the poller out of its waitqueue, if it is in one. Call with the lock held. */
static void remove_poller(struct ipcfs_waits *waits, struct ipcfs_poller *poller)
{
	struct ipcfs_waitqueue *wq = poller->wq;

	if (!wq)
		return;
	DL_DELETE(wq->pollers, poller);
	poller->wq = NULL;
	ipcfs_timer_stop(&waits->timers, &poller->timer);
	wq->object->waits.pollers--;
	if (wq->pollers)
		return;
	if (!ipcfs_waitqueue_has_descriptor(wq))
		waits->polled--;
	ipcfs_waitqueue_set_dirty(waits, wq);
}

static int start_time(struct ipcfs_waits *waits, struct ipcfs_poller *poller)
{
	return ipcfs_timer_set(&waits->timers, &poller->timer, ipcfs_file_deadline(poller->file));
}

/*
 * Adds the poller to the waitqueue, if it is in none, and begins its time anew. Call with the lock
 * held. -ENOMEM: it has no end.
 */
static int add_poller(struct ipcfs_waits *waits, struct ipcfs_poller *poller,
		      struct ipcfs_waitqueue *wq)
{
	ipcfs_timer_stop(&waits->timers, &poller->timer);
	poller->timer.poller = poller;
	if (poller->wq)
		return start_time(waits, poller);
	if (!wq->pollers && !ipcfs_waitqueue_has_descriptor(wq))
		waits->polled++;
	wq->last_polled = ipcfs_waits_now();
	poller->wq = wq;
	DL_APPEND(wq->pollers, poller);
	wq->object->waits.pollers++;
	ipcfs_waitqueue_set_dirty(waits, wq); /* the object may be ready by now */
	return start_time(waits, poller);
}

static long selector_of(const struct ipcfs_file *file)
{
	return file->key.selected ? file->key.selector : 0;
}

int ipcfs_waits_poll(struct ipcfs_waits *waits, struct ipcfs_file *file, unsigned directions,
		     struct fuse_pollhandle *handle)
{
	struct fuse_pollhandle *old;
	int err = 0;

	pthread_mutex_lock(&waits->lock);
	old = file->waits.poll;
	file->waits.poll = handle;
	for (int direction = 0; direction < 2; direction++) {
		struct ipcfs_waitqueue *wq;

		if (!(directions & 1U << direction))
			continue;
		wq = ipcfs_waitqueue_get(waits, ipcfs_file_object(waits->fs, file),
					 (enum ipcfs_direction)direction, selector_of(file), false);
		if (!wq || add_poller(waits, &file->waits.pollers[direction], wq))
			err = -ENOMEM;
	}
	pthread_mutex_unlock(&waits->lock);
	if (old)
		fuse_pollhandle_destroy(old);
	if (directions)
		ipcfs_waits_wake(waits);
	return err;
}

void ipcfs_waits_unpoll(struct ipcfs_waits *waits, struct ipcfs_file *file)
{
	struct fuse_pollhandle *handle;
	bool wake;

	pthread_mutex_lock(&waits->lock);
	handle = file->waits.poll;
	file->waits.poll = NULL;
	for (int direction = 0; direction < 2; direction++)
		remove_poller(waits, &file->waits.pollers[direction]);
	wake = waits->dirty != NULL;
	pthread_mutex_unlock(&waits->lock);
	if (handle)
		fuse_pollhandle_destroy(handle);
	if (wake)
		ipcfs_waits_wake(waits);
}

void ipcfs_waits_poll_again(struct ipcfs_waits *waits, struct ipcfs_file *file,
			    enum ipcfs_direction direction)
{
	struct ipcfs_waitqueue *wq = NULL;

	pthread_mutex_lock(&waits->lock);
	if (file->waits.poll && !file->waits.pollers[direction].wq)
		wq = ipcfs_waitqueue_get(waits, ipcfs_file_object(waits->fs, file), direction,
					 selector_of(file), false);
	if (wq)
		(void)add_poller(waits, &file->waits.pollers[direction], wq);
	pthread_mutex_unlock(&waits->lock);
	if (wq)
		ipcfs_waits_wake(waits);
}

void ipcfs_poller_expire(struct ipcfs_waits *waits, struct ipcfs_poller *poller)
{
	remove_poller(waits, poller);
	poller->expired = ipcfs_clock_ns();
	fuse_lowlevel_notify_poll(poller->file->waits.poll);
}

bool ipcfs_waits_poll_expired(struct ipcfs_waits *waits, struct ipcfs_file *file,
			      enum ipcfs_direction direction, bool clear)
{
	struct ipcfs_poller *poller = &file->waits.pollers[direction];
	bool expired;

	if (!file->key.within)
		return false;
	pthread_mutex_lock(&waits->lock);
	expired = poller->expired && ipcfs_clock_ns() - poller->expired < EXPIRED_NS;
	if (clear)
		poller->expired = 0;
	pthread_mutex_unlock(&waits->lock);
	return expired;
}

/*
 * Returns whether the loop thread has checked for these pollers long enough. The kernel does not
 * say when a caller stops polling, so all pollers are then notified. A caller that still polls asks
 * again, and becomes a poller again.
 */
static bool poll_expired(const struct ipcfs_waitqueue *wq)
{
	return !ipcfs_waitqueue_has_descriptor(wq) &&
	       ipcfs_waits_now() - wq->last_polled >= POLL_TIME;
}

void ipcfs_waitqueue_notify(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	int wanted = wq->direction == IPCFS_SEND ? POLLOUT : POLLIN;
	const struct ipcfs_space *before;
	bool any;
	int ready;

	pthread_mutex_lock(&waits->lock);
	/* Senders that wait come first: ready_now in queue/channel.c */
	any = wq->pollers && !(wq->direction == IPCFS_SEND && wq->head);
	pthread_mutex_unlock(&waits->lock);
	if (!any)
		return;
	before = ipcfs_object_enter(wq->object);
	ready = wq->object->class->queue->ready(wq->handle, wq->selector);
	ipcfs_space_leave(before);
	pthread_mutex_lock(&waits->lock);
	if (ready < 0 || (ready & wanted) || poll_expired(wq)) {
		while (wq->pollers) {
			struct ipcfs_file *file = wq->pollers->file;

			/* The handle stays: an edge-triggered epoll asks only once. */
			remove_poller(waits, wq->pollers);
			fuse_lowlevel_notify_poll(file->waits.poll);
		}
	}
	pthread_mutex_unlock(&waits->lock);
}
