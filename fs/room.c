/* SPDX-License-Identifier: MIT */
#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "line.h"

int ipcfs_room_create(struct ipcfs_filesystem *fs, struct ipcfs_room **room)
{
	struct ipcfs_room *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	fresh->fs = fs;
	fresh->watch = -1;
	fresh->epoll = epoll_create1(EPOLL_CLOEXEC);
	fresh->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&fresh->lock, NULL);
	if (fresh->epoll < 0 || fresh->wake < 0) {
		int err = -errno;

		ipcfs_room_destroy(fresh);
		return err;
	}
	*room = fresh;
	return 0;
}

void ipcfs_room_destroy(struct ipcfs_room *room)
{
	if (!room)
		return;
	while (room->lines) { /* only such as were polled: no waiter is left */
		struct ipcfs_line *line = room->lines;

		ipcfs_line_remove(room, line);
		ipcfs_line_free(room, line);
	}
	if (room->watch >= 0)
		close(room->watch);
	if (room->epoll >= 0)
		close(room->epoll);
	if (room->wake >= 0)
		close(room->wake);
	pthread_mutex_destroy(&room->lock);
	free(room);
}

void ipcfs_room_wake(struct ipcfs_room *room)
{
	uint64_t one = 1;

	while (write(room->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void ipcfs_room_stop(struct ipcfs_room *room)
{
	pthread_mutex_lock(&room->lock);
	room->stopping = true;
	pthread_mutex_unlock(&room->lock);
	ipcfs_room_wake(room);
	if (room->started)
		pthread_join(room->loop, NULL);
	room->started = false;
}

/* The library calls this when INTERRUPT comes, holding the request's own lock: only take note. */
static void note_interrupt(fuse_req_t req, void *data)
{
	struct ipcfs_waiter *waiter = data;
	struct ipcfs_room *room = waiter->fs->room;

	(void)req;
	pthread_mutex_lock(&room->lock);
	if (!waiter->interrupted) {
		waiter->interrupted = true;
		waiter->next_interrupted = room->interrupted;
		room->interrupted = waiter;
	}
	pthread_mutex_unlock(&room->lock);
	ipcfs_room_wake(room);
}

/* Called with the lock held. Not in a line yet, or no longer. */
static void forget_waiter(struct ipcfs_room *room, struct ipcfs_waiter *waiter)
{
	if (waiter->interrupted)
		LL_DELETE2(room->interrupted, waiter, next_interrupted);
	waiter->interrupted = false;
	if (waiter->counted)
		ipcfs_account_waited(room->fs->account, waiter->uid);
}

void ipcfs_waiter_finish(struct ipcfs_room *room, struct ipcfs_waiter *waiter, ssize_t result)
{
	struct ipcfs_filesystem *fs = room->fs;
	struct ipcfs_object *object = waiter->object;
	const struct ipcfs_space *before;

	/* waits for a running callback, after it none can come */
	if (waiter->req)
		fuse_req_interrupt_func(waiter->req, NULL, NULL);
	pthread_mutex_lock(&room->lock);
	forget_waiter(room, waiter);
	pthread_mutex_unlock(&room->lock);
	before = ipcfs_object_enter(object);
	waiter->answer(waiter, result);
	ipcfs_space_leave(before);
	free(waiter);
	ipcfs_object_put(&fs->objects, object);
}

/* Called with the lock held. */
static int stand_in_line(struct ipcfs_room *room, struct ipcfs_waiter *waiter)
{
	struct ipcfs_line *line;
	int err = 0;

	if (room->stopping)
		return -ENOTCONN;
	if (ipcfs_space_has_ended(waiter->object->space))
		return -EIDRM;
	line = ipcfs_line_get(room, waiter->object, waiter->direction, waiter->selector,
			      waiter->alone);
	if (!line)
		return -ENOMEM;
	waiter->line = line;
	DL_APPEND(line->head, waiter);
	waiter->object->parked[waiter->direction]++;
	waiter->arming = false;
	if (!ipcfs_line_has_descriptor(line))
		err = ipcfs_line_start(room, line);
	if (err)
		ipcfs_waiter_leave(room, waiter);
	else if (ipcfs_line_has_descriptor(line))
		ipcfs_line_touch(room, line);
	return err;
}

int ipcfs_room_park(struct ipcfs_room *room, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waiter *parked = malloc(sizeof(*parked));
	bool wake;
	int err = 0;

	if (!parked)
		return -ENOMEM;
	*parked = *waiter;
	parked->arming = true;
	parked->since = time(NULL);
	if (parked->counted)
		err = ipcfs_account_wait(room->fs->account, parked->uid);
	if (err) {
		free(parked);
		return err;
	}

	ipcfs_object_hold(&room->fs->objects, parked->object);
	/* Before another thread can answer it: a late one would touch a freed request. */
	if (parked->req)
		fuse_req_interrupt_func(parked->req, note_interrupt, parked);
	pthread_mutex_lock(&room->lock);
	err = stand_in_line(room, parked);
	/* the loop has work: a line of its own, or an interrupt that came while arming */
	wake = room->dirty || parked->interrupted;
	pthread_mutex_unlock(&room->lock);
	if (wake)
		ipcfs_room_wake(room);
	if (!err)
		return 0;

	if (parked->req)
		fuse_req_interrupt_func(parked->req, NULL, NULL);
	pthread_mutex_lock(&room->lock);
	forget_waiter(room, parked);
	pthread_mutex_unlock(&room->lock);
	free(parked);
	ipcfs_object_put(&room->fs->objects, waiter->object);
	return err;
}

void ipcfs_room_recheck(struct ipcfs_room *room, struct ipcfs_object *object)
{
	bool wake;

	pthread_mutex_lock(&room->lock);
	for (struct ipcfs_line *line = object->lines; line; line = line->next_of_object) {
		if (line->threaded)
			ipcfs_line_kick(room, line);
		ipcfs_line_touch(room, line);
	}
	wake = room->dirty != NULL;
	pthread_mutex_unlock(&room->lock);
	if (wake)
		ipcfs_room_wake(room);
}

int ipcfs_room_waiters(struct ipcfs_room *room, const struct ipcfs_object *object,
		       int (*each)(void *arg, const struct ipcfs_waiter *waiter), void *arg)
{
	const struct ipcfs_waiter *waiter;
	int result = 0;

	pthread_mutex_lock(&room->lock);
	for (struct ipcfs_line *line = object->lines; line && !result; line = line->next_of_object)
		for (waiter = line->head; waiter && !result; waiter = waiter->next)
			result = each(arg, waiter);
	pthread_mutex_unlock(&room->lock);
	return result;
}

void ipcfs_room_moved(struct ipcfs_room *room, struct ipcfs_object *object)
{
	if (object->pollers == 0 || object->class->queue->pollable)
		return; /* epoll tells */
	pthread_mutex_lock(&room->lock);
	for (struct ipcfs_line *line = object->lines; line; line = line->next_of_object)
		if (line->pollers)
			ipcfs_line_touch(room, line);
	pthread_mutex_unlock(&room->lock);
	ipcfs_room_wake(room);
}
