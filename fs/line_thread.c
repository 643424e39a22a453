/* SPDX-License-Identifier: MIT */
/* The thread of a line whose queue has no descriptor: it waits by calling. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "line.h"
#include "transfer.h"

#define LINGER 200 /* ms: a worker loop comes back soon, and finds the thread still there */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK (512 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK (512 * 1024)
#endif
#endif
#ifndef STACK
#define STACK (64 * 1024) /* only touched pages count: two or three */
#endif

#define SIGNAL_DEPTH (12 * 1024) /* a signal's frame below the deepest call that is made here */

struct start {
	struct ipcfs_room *room;
	struct ipcfs_line *line;
};

/*
 * Copying leaves bytes of a message in the processor's registers, and a signal saves those on the
 * stack. Before the thread sleeps they go.
 */
__attribute__((noinline)) static void clear_stack(void)
{
	char below[SIGNAL_DEPTH];

	explicit_bzero(below, sizeof(below));
}

/* Called with the lock held. */
static void enter_call(struct ipcfs_room *room, struct ipcfs_line *line)
{
	line->calling = true;
	if (line->direction == IPCFS_SEND && !line->alone) {
		room->sending++;
		ipcfs_room_wake(room); /* it looks at permissions while the call lasts */
	}
}

/* Called with the lock held. */
static void leave_call(struct ipcfs_room *room, struct ipcfs_line *line)
{
	line->calling = false;
	if (line->direction == IPCFS_SEND && !line->alone)
		room->sending--;
	if (line->kick) {
		line->kick = false;
		room->calls_to_end--;
	}
}

/* Wait for somebody to arrive, with the lock held. False: nobody does. */
static bool linger(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct timespec until;

	clear_stack();
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LINGER * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!line->head && !room->stopping)
		if (pthread_cond_timedwait(&line->arrival, &room->lock, &until) == ETIMEDOUT)
			break;
	return line->head != NULL;
}

/*
 * Try the head of the line; a send blocks. Called with the lock held, which it releases meanwhile.
 * True: the head was answered. False: it has to wait.
 */
static bool serve_head(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct ipcfs_waiter *head = line->head;
	bool wait = line->direction == IPCFS_SEND;
	ssize_t result;

	head->busy = true;
	if (wait)
		enter_call(room, line);
	pthread_mutex_unlock(&room->lock);
	result = head->attempt(head, wait);
	pthread_mutex_lock(&room->lock);
	if (wait)
		leave_call(room, line);
	head->busy = false;
	if (result == -EAGAIN || result == -EINTR) {
		if (!head->end)
			return false;
		result = head->end;
	}
	ipcfs_waiter_leave(room, head);
	pthread_mutex_unlock(&room->lock);
	ipcfs_waiter_finish(room, head, result);
	pthread_mutex_lock(&room->lock);
	return true;
}

/* An empty message that the waiting call took: the head's, if there is still one. Called with the lock held. */
static void pass_empty(struct ipcfs_room *room, struct ipcfs_line *line, long type)
{
	struct ipcfs_waiter *head = line->head;
	int err = -ENOENT;

	if (head) {
		head->busy = true;
		pthread_mutex_unlock(&room->lock);
		err = ipcfs_transfer_accept(head, type);
		pthread_mutex_lock(&room->lock);
		head->busy = false;
	}
	if (!err)
		ipcfs_waiter_leave(room, head);
	pthread_mutex_unlock(&room->lock);
	if (!err) {
		ipcfs_waiter_finish(room, head, 0);
	} else {
		line->object->returned++;
		ipcfs_transfer_put_back(room->fs, line->object, type, NULL, 0);
	}
	pthread_mutex_lock(&room->lock);
}

/* Block until something is there to receive. Called with the lock held. */
static void wait_for_message(struct ipcfs_room *room, struct ipcfs_line *line)
{
	long type;
	int found;

	enter_call(room, line);
	pthread_mutex_unlock(&room->lock);
	clear_stack();
	found = line->object->class->queue->wait(line->handle, line->selector, &type);
	pthread_mutex_lock(&room->lock);
	leave_call(room, line);
	if (found > 0)
		pass_empty(room, line, type);
}

static void *line_main(void *arg)
{
	struct start start = *(struct start *)arg;
	struct ipcfs_room *room = start.room;
	struct ipcfs_line *line = start.line;
	sigset_t kicks;

	free(arg);
	ipcfs_space_dwell(line->object->space);
	sigemptyset(&kicks);
	sigaddset(&kicks, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &kicks, NULL);

	pthread_mutex_lock(&room->lock);
	line->tid = gettid();
	while (line->head || (!line->alone && linger(room, line))) {
		if (serve_head(room, line))
			continue;
		if (line->direction == IPCFS_RECEIVE && line->head && !line->head->end)
			wait_for_message(room, line);
	}
	line->threaded = false;
	room->threads--;
	ipcfs_line_touch(room, line);
	ipcfs_room_wake(room);
	pthread_mutex_unlock(&room->lock);
	clear_stack(); /* the next thread may get this one's */
	return NULL;
}

/* In the thread that all of the space share: it may take what is to be held. */
static int make_thread(void *arg)
{
	struct start *start;
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int err;

	start = malloc(sizeof(*start));
	if (!start)
		return -ENOMEM;
	*start = *(struct start *)arg;
	err = pthread_attr_init(&attributes);
	if (err) {
		free(start);
		return -err;
	}
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&thread, &attributes, line_main, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (err)
		free(start);
	return -err;
}

int ipcfs_line_start(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct start start = { room, line };
	int err;

	if (line->threaded) {
		pthread_cond_signal(&line->arrival);
		return 0;
	}
	line->threaded = true;
	room->threads++;
	err = ipcfs_space_run(line->object->space, make_thread, &start);
	if (err) {
		line->threaded = false;
		room->threads--;
	}
	return err;
}
