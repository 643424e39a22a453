/* SPDX-License-Identifier: MIT */
/* poll, select and epoll: who wants to know that a queue became ready. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#include "line.h"

#define SAMPLED_FOR 5000 /* ms without an event */

/* Called with the lock held. */
static void unregister(struct ipcfs_room *room, struct ipcfs_poller *poller)
{
	struct ipcfs_line *line = poller->line;

	if (!line)
		return;
	DL_DELETE(line->pollers, poller);
	poller->line = NULL;
	line->object->pollers--;
	if (line->pollers)
		return;
	if (!ipcfs_line_has_descriptor(line))
		room->sampled--;
	ipcfs_line_touch(room, line);
}

/* Called with the lock held. */
static void enroll(struct ipcfs_room *room, struct ipcfs_poller *poller, struct ipcfs_line *line)
{
	if (poller->line)
		return;
	if (!line->pollers && !ipcfs_line_has_descriptor(line))
		room->sampled++;
	line->polled = ipcfs_room_now();
	poller->line = line;
	DL_APPEND(line->pollers, poller);
	line->object->pollers++;
	ipcfs_line_touch(room, line); /* it may have become ready meanwhile */
}

static long selector_of(const struct ipcfs_open *open)
{
	return open->node->key.selected ? open->node->key.selector : 0;
}

int ipcfs_room_poll(struct ipcfs_room *room, struct ipcfs_open *open, unsigned directions,
		    struct fuse_pollhandle *handle)
{
	struct fuse_pollhandle *old;
	int err = 0;

	pthread_mutex_lock(&room->lock);
	old = open->poll;
	open->poll = handle;
	for (int direction = 0; direction < 2; direction++) {
		struct ipcfs_line *line;

		if (!(directions & 1U << direction))
			continue;
		line = ipcfs_line_get(room, open->object, (enum ipcfs_direction)direction,
				      selector_of(open), false);
		if (line)
			enroll(room, &open->pollers[direction], line);
		else
			err = -ENOMEM;
	}
	pthread_mutex_unlock(&room->lock);
	if (old)
		fuse_pollhandle_destroy(old);
	if (directions)
		ipcfs_room_wake(room);
	return err;
}

void ipcfs_room_unpoll(struct ipcfs_room *room, struct ipcfs_open *open)
{
	struct fuse_pollhandle *handle;
	bool wake;

	pthread_mutex_lock(&room->lock);
	handle = open->poll;
	open->poll = NULL;
	for (int direction = 0; direction < 2; direction++)
		unregister(room, &open->pollers[direction]);
	wake = room->dirty != NULL;
	pthread_mutex_unlock(&room->lock);
	if (handle)
		fuse_pollhandle_destroy(handle);
	if (wake)
		ipcfs_room_wake(room);
}

void ipcfs_room_poll_again(struct ipcfs_room *room, struct ipcfs_open *open,
			   enum ipcfs_direction direction)
{
	struct ipcfs_line *line = NULL;

	pthread_mutex_lock(&room->lock);
	if (open->poll && !open->pollers[direction].line)
		line = ipcfs_line_get(room, open->object, direction, selector_of(open), false);
	if (line)
		enroll(room, &open->pollers[direction], line);
	pthread_mutex_unlock(&room->lock);
	if (line)
		ipcfs_room_wake(room);
}

/*
 * Sampling for somebody who may have stopped polling long ago (nobody tells): wake them now and then. Who
 * still polls asks again, and is enrolled again.
 */
static bool sampled_enough(const struct ipcfs_line *line)
{
	return !ipcfs_line_has_descriptor(line) && ipcfs_room_now() - line->polled >= SAMPLED_FOR;
}

void ipcfs_line_notify(struct ipcfs_room *room, struct ipcfs_line *line)
{
	int wanted = line->direction == IPCFS_SEND ? POLLOUT : POLLIN;
	const struct ipcfs_space *before;
	bool any;
	int ready;

	pthread_mutex_lock(&room->lock);
	any = line->pollers != NULL;
	pthread_mutex_unlock(&room->lock);
	if (!any)
		return;
	before = ipcfs_object_enter(line->object);
	ready = line->object->class->queue->ready(line->handle, line->selector);
	ipcfs_space_leave(before);
	pthread_mutex_lock(&room->lock);
	if (ready < 0 || (ready & wanted) || sampled_enough(line)) {
		while (line->pollers) {
			struct ipcfs_open *open = line->pollers->open;

			/* the handle stays: an edge-triggered epoll asks only once */
			unregister(room, line->pollers);
			fuse_lowlevel_notify_poll(open->poll);
		}
	}
	pthread_mutex_unlock(&room->lock);
}
