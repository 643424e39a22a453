/* SPDX-License-Identifier: MIT */
/*
 * The loop thread of the waiting room: serves the lines whose queues have descriptors, ends what is
 * interrupted, samples for pollers what the kernel does not report, and frees lines.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "caller.h"
#include "line.h"
#include "log.h"

#define EVENTS 64
#define RECHECK                                                                                    \
	100 /* ms: how long a direct chmod may go unnoticed by a System V send that blocks */
#define TURN                                                                                       \
	32 /* waiters served in one visit: readers that come back at once hold up no other line */

static void drain(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/* Wait for the line's queue, once. */
static void arm(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct epoll_event event = {
		.events = EPOLLONESHOT | (line->direction == IPCFS_SEND ? EPOLLOUT : EPOLLIN),
		.data.ptr = line,
	};
	int op = line->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(room->epoll, op, line->handle, &event) == 0)
		line->registered = true;
	else
		ipcfs_log(LOG_ERR, "can't wait for a queue: %s", strerror(errno));
}

static void disarm(struct ipcfs_room *room, struct ipcfs_line *line)
{
	if (line->registered)
		epoll_ctl(room->epoll, EPOLL_CTL_DEL, line->handle, NULL);
	line->registered = false;
}

/*
 * Try those in a line that has no thread, in order, until one has to wait. False: the line's turn ended
 * before.
 */
static bool serve(struct ipcfs_room *room, struct ipcfs_line *line)
{
	for (unsigned served = 0; served < TURN; served++) {
		struct ipcfs_waiter *head;
		ssize_t result;

		pthread_mutex_lock(&room->lock);
		head = line->head;
		if (head)
			head->busy = true;
		pthread_mutex_unlock(&room->lock);
		if (!head)
			return true;
		result = head->attempt(head, false);
		pthread_mutex_lock(&room->lock);
		head->busy = false;
		if (result == -EAGAIN && head->end)
			result = head->end; /* its namespace ended meanwhile */
		if (result != -EAGAIN)
			ipcfs_waiter_leave(room, head);
		pthread_mutex_unlock(&room->lock);
		if (result == -EAGAIN)
			return true;
		ipcfs_waiter_finish(room, head, result);
	}
	return false;
}

static void visit(struct ipcfs_room *room, struct ipcfs_line *line)
{
	bool idle, wanted, done = true;

	if (ipcfs_line_has_descriptor(line))
		done = serve(room, line);
	ipcfs_line_notify(room, line);

	pthread_mutex_lock(&room->lock);
	if (!done)
		ipcfs_line_touch(room, line);
	idle = ipcfs_line_is_idle(line);
	wanted = line->head || line->pollers;
	if (idle)
		ipcfs_line_remove(room, line);
	pthread_mutex_unlock(&room->lock);
	if (idle) {
		disarm(room, line);
		ipcfs_line_free(room, line);
	} else if (wanted && ipcfs_line_has_descriptor(line)) {
		arm(room, line);
	}
}

/* Those that are dirty now: what becomes so meanwhile has its turn after everything else the loop does. */
static void visit_dirty(struct ipcfs_room *room)
{
	struct ipcfs_line *line, *rest;

	pthread_mutex_lock(&room->lock);
	rest = room->dirty;
	room->dirty = NULL;
	while (rest) {
		line = rest;
		rest = line->next_dirty;
		line->dirty = false;
		pthread_mutex_unlock(&room->lock);
		visit(room, line);
		pthread_mutex_lock(&room->lock);
	}
	pthread_mutex_unlock(&room->lock);
}

/* Called with the lock held. True: it left its line and is the caller's to finish. */
static bool end_waiter(struct ipcfs_room *room, struct ipcfs_waiter *waiter, int reason)
{
	if (waiter->busy) {
		waiter->end = reason;
		ipcfs_line_kick(room, waiter->line);
		return false;
	}
	waiter->end = reason;
	ipcfs_waiter_leave(room, waiter);
	return true;
}

/* `look`: also at those that were interrupted before and went on waiting. */
static void handle_interrupts(struct ipcfs_room *room, bool look)
{
	struct ipcfs_waiter *waiter, *next, *done = NULL;

	pthread_mutex_lock(&room->lock);
	room->watching = 0;
	LL_FOREACH_SAFE2(room->interrupted, waiter, next, next_interrupted)
	{
		if (waiter->arming)
			continue; /* whoever parks it wakes us again */
		if (waiter->line && waiter->patient &&
		    ((waiter->watched && !look) || !ipcfs_caller_interrupted(waiter->tid))) {
			waiter->watched = true; /* only one INTERRUPT comes: keep looking */
			room->watching++;
			continue;
		}
		LL_DELETE2(room->interrupted, waiter, next_interrupted);
		waiter->interrupted = false;
		if (waiter->line && end_waiter(room, waiter, -EINTR))
			LL_PREPEND2(done, waiter, next_interrupted);
	}
	pthread_mutex_unlock(&room->lock);
	LL_FOREACH_SAFE2(done, waiter, next, next_interrupted)
	{
		waiter->next_interrupted = NULL;
		ipcfs_waiter_finish(room, waiter, -EINTR);
	}
}

int64_t ipcfs_room_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

/* What the kernel tells nobody is looked at here, only while somebody waits for it. */
static void tick(struct ipcfs_room *room)
{
	bool recheck = ipcfs_room_now() - room->rechecked >= RECHECK;
	struct ipcfs_line *line;

	if (recheck)
		room->rechecked = ipcfs_room_now();
	pthread_mutex_lock(&room->lock);
	DL_FOREACH (room->lines, line) {
		if (line->kick)
			ipcfs_line_kick(room, line);
		if (line->pollers && !ipcfs_line_has_descriptor(line))
			ipcfs_line_touch(room, line);
		/* a send under way must not outlive its sender's right to send, whoever took it */
		if (recheck && line->calling && line->direction == IPCFS_SEND && !line->kick &&
		    !line->alone)
			ipcfs_line_kick(room, line);
	}
	pthread_mutex_unlock(&room->lock);
}

static int timeout(struct ipcfs_room *room)
{
	bool wanted, at_once;

	pthread_mutex_lock(&room->lock);
	at_once = room->dirty != NULL;
	wanted = room->calls_to_end || room->watching || room->sampled || room->sending ||
		 (room->stopping && (room->threads || room->lines));
	pthread_mutex_unlock(&room->lock);
	if (at_once)
		return 0;
	return wanted ? IPCFS_ROOM_TICK : -1;
}

/* Everything that waits on objects of other processes' making: look again. */
static void touch_all(struct ipcfs_room *room)
{
	struct ipcfs_line *line;

	pthread_mutex_lock(&room->lock);
	DL_FOREACH (room->lines, line)
		if (ipcfs_line_has_descriptor(line))
			ipcfs_line_touch(room, line);
		else if (line->alone && line->object->class->watch)
			ipcfs_line_kick(room, line);
	pthread_mutex_unlock(&room->lock);
}

/* All waiters of a space; NULL: of all. */
static void end_waiters(struct ipcfs_room *room, const struct ipcfs_space *space, int reason)
{
	struct ipcfs_waiter *waiter, *next, *done = NULL;
	struct ipcfs_line *line;

	pthread_mutex_lock(&room->lock);
	DL_FOREACH (room->lines, line) {
		if (space && line->object->space != space)
			continue;
		DL_FOREACH_SAFE (line->head, waiter, next)
			if (end_waiter(room, waiter, reason))
				DL_APPEND(done, waiter);
		ipcfs_line_touch(room, line);
		pthread_cond_signal(&line->arrival);
	}
	pthread_mutex_unlock(&room->lock);
	DL_FOREACH_SAFE (done, waiter, next) {
		waiter->next = waiter->prev = NULL;
		ipcfs_waiter_finish(room, waiter, reason);
	}
}

void ipcfs_room_ended(struct ipcfs_room *room, const struct ipcfs_space *space)
{
	end_waiters(room, space, -EIDRM);
	ipcfs_room_wake(room);
}

/* True: stopping, and nobody is left. */
static bool is_over(struct ipcfs_room *room)
{
	struct ipcfs_line *line;
	bool waiters = false, over;

	pthread_mutex_lock(&room->lock);
	DL_FOREACH (room->lines, line)
		waiters |= line->head != NULL;
	over = room->stopping && !waiters && !room->threads;
	pthread_mutex_unlock(&room->lock);
	return over;
}

void *ipcfs_room_loop(void *arg)
{
	struct ipcfs_room *room = arg;
	struct epoll_event events[EVENTS];
	int64_t last_tick = 0;
	bool stopping, ticks;

	for (;;) {
		int count = epoll_wait(room->epoll, events, EVENTS, timeout(room));
		bool removed = false;

		pthread_mutex_lock(&room->lock);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &room->wake)
				drain(room->wake);
			else if (events[i].data.ptr == &room->watch)
				removed = true;
			else
				ipcfs_line_touch(room, events[i].data.ptr);
		}
		stopping = room->stopping;
		pthread_mutex_unlock(&room->lock);
		if (removed) {
			drain(room->watch);
			touch_all(room);
		}
		ticks = ipcfs_room_now() - last_tick >= IPCFS_ROOM_TICK;
		if (ticks) {
			last_tick = ipcfs_room_now();
			tick(room);
		}
		handle_interrupts(room, ticks);
		if (stopping)
			end_waiters(room, NULL, -ENOTCONN);
		visit_dirty(room);
		if (is_over(room))
			return NULL;
	}
}

static int add_watch(struct ipcfs_room *room, int fd, void *mark)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = mark };

	return epoll_ctl(room->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* One descriptor for all: what it says means no more than that something has changed somewhere. */
int ipcfs_room_watch(struct ipcfs_room *room, const struct ipcfs_space *space)
{
	int err = 0;

	for (size_t i = 0; !err && ipcfs_backends[i]; i++) {
		int fd = -1;

		if (!ipcfs_backends[i]->watch)
			continue;
		pthread_mutex_lock(&room->lock);
		fd = room->watch;
		pthread_mutex_unlock(&room->lock);
		err = ipcfs_backends[i]->watch(space, &fd);
		if (err)
			break;
		pthread_mutex_lock(&room->lock);
		if (room->watch < 0 && fd >= 0) {
			room->watch = fd;
			err = add_watch(room, fd, &room->watch);
		}
		pthread_mutex_unlock(&room->lock);
	}
	return err;
}

int ipcfs_room_start(struct ipcfs_room *room)
{
	sigset_t all, before;
	int err;

	err = add_watch(room, room->wake, &room->wake);
	if (err)
		return err;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = -pthread_create(&room->loop, NULL, ipcfs_room_loop, room);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	room->started = !err;
	return err;
}
