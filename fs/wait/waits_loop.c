/* SPDX-License-Identifier: MIT */
/*
 * The loop thread of the wait room: serves the waitqueues whose objects have descriptors, ends the
 * waits whose deadline has come, and those that are interrupted (interrupts.c), checks at intervals
 * what the kernel does not report, and frees waitqueues. Modelled in docs/dev/model: wait.pml and
 * thread.pml.
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

#include "backends/contract/fault.h"
#include "fs/base/log.h"
#include "fs/wait/interrupts.h"
#include "fs/wait/waitqueue.h"
#include "fs/wait/waits.h"
#include "fs/wait/waits_inside.h"

#define EVENTS_MAX 64	  /* taken from epoll at once */
#define CHECK_INTERVAL 20 /* ms, for what the kernel reports by no event */
/* In ms: how long a sender that a direct chmod has shut out may go on in a blocking send. */
#define SEND_CHECK_INTERVAL 100
#define ENDS_MAX 64 /* waits that end by time before everything else has its turn */

/* Reads a descriptor empty. */
static void discard_input(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

/*
 * Tries the waiters of a waitqueue without a thread, in order, until one has to wait. Returns false
 * if the waitqueue's turn ended first.
 */
static bool try_waiters(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	for (unsigned served = 0; served < IPCFS_TURN_MAX; served++) {
		struct ipcfs_waiter *head;

		pthread_mutex_lock(&waits->lock);
		head = ipcfs_waiter_claim(wq);
		pthread_mutex_unlock(&waits->lock);
		if (!head || !ipcfs_waiter_try(waits, head))
			return true;
	}
	return false;
}

/* Serves the waiters and pollers of a waitqueue, and frees a waitqueue that is no longer used. */
static void serve_waitqueue(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	bool idle, done = true;

	if (ipcfs_waitqueue_has_descriptor(wq))
		done = try_waiters(waits, wq);
	ipcfs_waitqueue_notify(waits, wq);

	pthread_mutex_lock(&waits->lock);
	if (!done)
		ipcfs_waitqueue_set_dirty(waits, wq);
	idle = ipcfs_waitqueue_is_idle(wq);
	if (idle)
		ipcfs_waitqueue_remove(waits, wq);
	else if (wq->pollers && ipcfs_waitqueue_has_descriptor(wq))
		ipcfs_waitqueue_arm(waits, wq);
	pthread_mutex_unlock(&waits->lock);
	if (idle)
		ipcfs_waitqueue_free(waits, wq);
}

/*
 * Serves every waitqueue that is dirty now. One that becomes dirty meanwhile is served in the next
 * round of the loop, after everything else that the loop does.
 */
static void serve_dirty(struct ipcfs_waits *waits)
{
	struct ipcfs_waitqueue *wq, *rest;

	pthread_mutex_lock(&waits->lock);
	rest = waits->dirty;
	waits->dirty = NULL;
	while (rest) {
		wq = rest;
		rest = wq->next_dirty;
		wq->dirty = false;
		pthread_mutex_unlock(&waits->lock);
		serve_waitqueue(waits, wq);
		pthread_mutex_lock(&waits->lock);
	}
	pthread_mutex_unlock(&waits->lock);
}

/*
 * Checks what the kernel reports by no event: kicks that came too early, pollers of objects without
 * a descriptor, objects that epoll can't wait for, and the permissions of senders in a blocking
 * call.
 */
static void check_now(struct ipcfs_waits *waits)
{
	bool check_sends = ipcfs_waits_now() - waits->sends_checked >= SEND_CHECK_INTERVAL;
	struct ipcfs_waitqueue *wq;
	bool unarmed;

	if (check_sends)
		waits->sends_checked = ipcfs_waits_now();
	pthread_mutex_lock(&waits->lock);
	unarmed = waits->unarmed;
	waits->unarmed = false;
	DL_FOREACH (waits->queues, wq) {
		if (wq->kicked)
			ipcfs_waitqueue_kick(waits, wq);
		if (ipcfs_waitqueue_has_descriptor(wq) ? unarmed : wq->pollers != NULL)
			ipcfs_waitqueue_set_dirty(waits, wq);
		/* Another process may have taken the sender's right: the attempt checks it. */
		if (check_sends && wq->calling && wq->direction == IPCFS_SEND && !wq->kicked &&
		    wq->object->class->queue)
			ipcfs_waitqueue_kick(waits, wq);
	}
	pthread_mutex_unlock(&waits->lock);
}

/* Returns how long the loop thread may sleep, for epoll_wait(2): ms; -1: until an event. */
static int loop_timeout(struct ipcfs_waits *waits)
{
	bool wanted;
	int timeout;

	pthread_mutex_lock(&waits->lock);
	wanted = waits->unarmed || waits->kicked || waits->interrupts_ignored || waits->polled ||
		 waits->sending || waits->resting ||
		 (waits->stopping && (waits->threads || waits->queues));
	timeout = waits->dirty ? 0 : ipcfs_timer_next(&waits->timers);
	pthread_mutex_unlock(&waits->lock);
	if (wanted && (timeout < 0 || timeout > CHECK_INTERVAL))
		return CHECK_INTERVAL;
	return timeout;
}

/*
 * Has the waitqueues tried again whose objects ipcfs_class.watch may report: another process may
 * have removed an object or changed it.
 */
static void retry_all(struct ipcfs_waits *waits)
{
	struct ipcfs_waitqueue *wq;

	pthread_mutex_lock(&waits->lock);
	DL_FOREACH (waits->queues, wq)
		if (ipcfs_waitqueue_has_descriptor(wq))
			ipcfs_waitqueue_set_dirty(waits, wq);
		else if (wq->object->class->watch)
			ipcfs_waitqueue_retry(waits, wq);
	pthread_mutex_unlock(&waits->lock);
}

/* Answers waiters that have left their waitqueues, each with its end_reason. */
static void finish_all(struct ipcfs_waits *waits, struct ipcfs_waiter *done)
{
	struct ipcfs_waiter *waiter, *next;

	DL_FOREACH_SAFE (done, waiter, next) {
		waiter->next = waiter->prev = NULL;
		ipcfs_waiter_finish(waits, waiter, waiter->end_reason);
	}
}

/*
 * Ends waits, and polling, whose deadline has come: a few, so that the lock is not held for long. A
 * close hands its message to the daemon instead.
 */
static void end_timed(struct ipcfs_waits *waits)
{
	struct ipcfs_waiter *done = NULL;

	pthread_mutex_lock(&waits->lock);
	for (unsigned ended = 0; ended < ENDS_MAX && ipcfs_timer_next(&waits->timers) == 0;
	     ended++) {
		struct ipcfs_timer *timer = ipcfs_timer_first(&waits->timers);
		struct ipcfs_waiter *waiter = timer->waiter;

		ipcfs_timer_stop(&waits->timers, timer);
		if (waiter && waiter->end_reason)
			continue; /* it ends for another reason */
		if (!waiter) {
			ipcfs_poller_expire(waits, timer->poller);
			continue;
		}
		if (waiter->asleep) {
			ipcfs_waiter_rouse(waiter, -ETIMEDOUT);
			continue;
		}
		waiter->detaches |= waiter->closes && waiter->ops->detach;
		if (ipcfs_waiter_stop(waits, waiter, -ETIMEDOUT))
			DL_APPEND(done, waiter);
	}
	pthread_mutex_unlock(&waits->lock);
	finish_all(waits, done);
}

/* Ends all waits in a space, or everywhere if that is NULL, for this reason (a negative errno). */
static void end_waiters(struct ipcfs_waits *waits, const struct ipcfs_space *space, int reason)
{
	struct ipcfs_waiter *waiter, *next, *done = NULL;
	struct ipcfs_waitqueue *wq;

	pthread_mutex_lock(&waits->lock);
	DL_FOREACH (waits->queues, wq) {
		if (space && wq->object->space != space)
			continue;
		DL_FOREACH_SAFE (wq->head, waiter, next)
			if (ipcfs_waiter_stop(waits, waiter, reason))
				DL_APPEND(done, waiter);
		DL_FOREACH_SAFE (wq->sleepers, waiter, next)
			if (ipcfs_waiter_stop(waits, waiter, reason))
				DL_APPEND(done, waiter);
		ipcfs_waitqueue_set_dirty(waits, wq);
		pthread_cond_signal(&wq->arrival);
	}
	pthread_mutex_unlock(&waits->lock);
	finish_all(waits, done);
}

void ipcfs_waits_space_ended(struct ipcfs_waits *waits, const struct ipcfs_space *space)
{
	end_waiters(waits, space, -EIDRM);
	ipcfs_waits_wake(waits);
}

/* Returns whether the wait room rests. *over: no thread of a waitqueue is left. */
static bool is_resting(struct ipcfs_waits *waits, bool *over)
{
	bool resting;

	pthread_mutex_lock(&waits->lock);
	resting = waits->resting;
	*over = !waits->threads;
	pthread_mutex_unlock(&waits->lock);
	return resting;
}

/* Returns whether the wait room stops and neither a waiter nor a thread is left. */
static bool is_over(struct ipcfs_waits *waits)
{
	struct ipcfs_waitqueue *wq;
	bool waiters = false, over;

	pthread_mutex_lock(&waits->lock);
	DL_FOREACH (waits->queues, wq)
		waiters |= wq->head || wq->sleepers;
	over = waits->stopping && !waiters && !waits->threads;
	pthread_mutex_unlock(&waits->lock);
	return over;
}

static void *loop_main(void *arg)
{
	struct ipcfs_waits *waits = arg;
	struct epoll_event events[EVENTS_MAX];
	int64_t last_check = 0;
	bool stopping, check_due, over;

	for (;;) {
		int count = epoll_wait(waits->epoll, events, EVENTS_MAX, loop_timeout(waits));
		bool removed = false;

		pthread_mutex_lock(&waits->lock);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &waits->wake)
				discard_input(waits->wake);
			else if (events[i].data.ptr == &waits->watch)
				removed = true;
			else
				ipcfs_waitqueue_set_dirty(waits, events[i].data.ptr);
		}
		stopping = waits->stopping;
		pthread_mutex_unlock(&waits->lock);
		if (removed) {
			discard_input(waits->watch);
			if (!ipcfs_fault("waits.watch"))
				retry_all(waits);
		}
		check_due = ipcfs_waits_now() - last_check >= CHECK_INTERVAL;
		if (check_due) {
			last_check = ipcfs_waits_now();
			if (!ipcfs_fault("waits.check"))
				check_now(waits);
		}
		if (is_resting(waits, &over)) {
			if (over)
				return NULL;
			continue;
		}
		ipcfs_interrupts_handle(waits, check_due);
		end_timed(waits);
		if (stopping)
			end_waiters(waits, NULL, -ENOTCONN);
		serve_dirty(waits);
		if (is_over(waits))
			return NULL;
	}
}

/* Adds a descriptor to the epoll set; `mark` tells the loop thread which one became readable. */
static int add_watch(struct ipcfs_waits *waits, int fd, void *mark)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = mark };

	return epoll_ctl(waits->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* One descriptor serves all classes and spaces: it only says that an object has changed. */
int ipcfs_waits_watch(struct ipcfs_waits *waits, const struct ipcfs_space *space)
{
	int err = 0;

	for (size_t i = 0; !err && ipcfs_classes[i]; i++) {
		int fd = -1;

		if (!ipcfs_classes[i]->watch)
			continue;
		pthread_mutex_lock(&waits->lock);
		fd = waits->watch;
		pthread_mutex_unlock(&waits->lock);
		err = ipcfs_classes[i]->watch(space, &fd);
		if (err)
			break;
		pthread_mutex_lock(&waits->lock);
		if (!waits->watches && fd >= 0) {
			waits->watch = fd;
			waits->watches = true;
			err = add_watch(waits, fd, &waits->watch);
		}
		pthread_mutex_unlock(&waits->lock);
	}
	return err;
}

int ipcfs_waits_start(struct ipcfs_waits *waits)
{
	sigset_t all, before;
	int err;

	err = add_watch(waits, waits->wake, &waits->wake);
	if (err)
		return err;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = -pthread_create(&waits->loop, NULL, loop_main, waits);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	waits->started = !err;
	return err;
}
