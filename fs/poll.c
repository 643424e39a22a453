/* SPDX-License-Identifier: MIT */
/* poll, select and epoll: who wants to know that a queue became ready. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

#include "line.h"

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
	poller->line = line;
	DL_APPEND(line->pollers, poller);
	line->object->pollers++;
	ipcfs_line_touch(room, line); /* it may have become ready meanwhile */
}

int ipcfs_room_poll(struct ipcfs_room *room, struct ipcfs_open *open, unsigned directions,
		    struct fuse_pollhandle *handle)
{
	long selector = open->node->key.selected ? open->node->key.selector : 0;
	struct fuse_pollhandle *old;
	int err = 0;

	pthread_mutex_lock(&room->lock);
	old = open->poll;
	open->poll = handle;
	for (int direction = 0; direction < 2; direction++) {
		struct ipcfs_line *line;

		if (!(directions & 1U << direction))
			continue;
		line = ipcfs_line_get(room, open->object, (enum ipcfs_direction)direction, selector);
		if (line)
			enroll(room, &open->pollers[direction], line);
		else
			err = -ENOMEM;
	}
	pthread_mutex_unlock(&room->lock);
	if (old)
		fuse_pollhandle_destroy(old);
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

/* Take one poller's handle off the line; NULL: nobody is left. */
static struct fuse_pollhandle *take_poller(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct fuse_pollhandle *handle = NULL;

	pthread_mutex_lock(&room->lock);
	while (!handle && line->pollers) {
		struct ipcfs_open *open = line->pollers->open;

		handle = open->poll;
		open->poll = NULL;
		for (int direction = 0; direction < 2; direction++)
			unregister(room, &open->pollers[direction]);
	}
	pthread_mutex_unlock(&room->lock);
	return handle;
}

void ipcfs_line_notify(struct ipcfs_room *room, struct ipcfs_line *line)
{
	int wanted = line->direction == IPCFS_SEND ? POLLOUT : POLLIN;
	struct fuse_pollhandle *handle;
	bool any;
	int ready;

	pthread_mutex_lock(&room->lock);
	any = line->pollers != NULL;
	pthread_mutex_unlock(&room->lock);
	if (!any)
		return;
	ready = line->object->class->queue->ready(line->handle, line->selector);
	if (ready >= 0 && !(ready & wanted))
		return;
	while ((handle = take_poller(room, line))) {
		fuse_lowlevel_notify_poll(handle);
		fuse_pollhandle_destroy(handle);
	}
}
