/* SPDX-License-Identifier: MIT */
/* The protocol of waiting is modelled in docs/dev/model: wait.pml and thread.pml. */
#include "fs/wait/waits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/base/unanswered.h"
#include "fs/wait/waitqueue.h"
#include "fs/wait/waits_inside.h"

#define WAITER_BYTES 1024 /* of a parked waiter, with its waitqueue and its request */

int64_t ipcfs_waits_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

int ipcfs_waits_create(struct ipcfs_filesystem *fs, ipcfs_unclaimed *unclaimed, int watch,
		       struct ipcfs_waits **waits)
{
	struct ipcfs_waits *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	fresh->fs = fs;
	fresh->unclaimed = unclaimed;
	fresh->watch = watch;
	fresh->epoll = epoll_create1(EPOLL_CLOEXEC);
	fresh->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&fresh->lock, NULL);
	if (fresh->epoll < 0 || fresh->wake < 0) {
		int err = -errno;

		ipcfs_waits_destroy(fresh);
		return err;
	}
	*waits = fresh;
	return 0;
}

void ipcfs_waits_destroy(struct ipcfs_waits *waits)
{
	if (!waits)
		return;
	while (waits->queues) { /* they had pollers; no waiter is left */
		struct ipcfs_waitqueue *wq = waits->queues;

		ipcfs_waitqueue_remove(waits, wq);
		ipcfs_waitqueue_free(waits, wq);
	}
	if (waits->watch >= 0)
		close(waits->watch);
	if (waits->epoll >= 0)
		close(waits->epoll);
	if (waits->wake >= 0)
		close(waits->wake);
	pthread_mutex_destroy(&waits->lock);
	ipcfs_timers_free(&waits->timers);
	free(waits);
}

void ipcfs_waits_stop(struct ipcfs_waits *waits)
{
	pthread_mutex_lock(&waits->lock);
	waits->stopping = true;
	pthread_mutex_unlock(&waits->lock);
	ipcfs_waits_wake(waits);
	if (waits->started)
		pthread_join(waits->loop, NULL);
	waits->started = false;
}

void ipcfs_waits_rest(struct ipcfs_waits *waits)
{
	struct ipcfs_waitqueue *wq;

	pthread_mutex_lock(&waits->lock);
	waits->resting = true;
	DL_FOREACH (waits->queues, wq) {
		ipcfs_waitqueue_kick(waits, wq);
		pthread_cond_signal(&wq->arrival);
	}
	pthread_mutex_unlock(&waits->lock);
	ipcfs_waits_wake(waits);
	if (waits->started)
		pthread_join(waits->loop, NULL);
	waits->started = false;
}

/*
 * Notes that the kernel sent INTERRUPT for a parked request. libfuse calls this with the request's
 * lock held, so that the request can't be answered here.
 */
static void note_interrupt(fuse_req_t req, void *data)
{
	struct ipcfs_waiter *waiter = data;
	struct ipcfs_waits *waits = waiter->fs->waits;

	(void)req;
	pthread_mutex_lock(&waits->lock);
	if (!waiter->interrupted) {
		waiter->interrupted = true;
		waiter->next_interrupted = waits->interrupted;
		waits->interrupted = waiter;
	}
	pthread_mutex_unlock(&waits->lock);
	ipcfs_waits_wake(waits);
}

/*
 * Adds the waiter behind those that stand before it. A thread that blocks for one behind it leaves
 * its call. Call with the lock held.
 */
static void stand(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq,
		  struct ipcfs_waiter *waiter)
{
	struct ipcfs_waiter *next = waiter->first ? wq->head : NULL;

	while (next && next->first)
		next = next->next;
	DL_PREPEND_ELEM(wq->head, next, waiter);
	if (next)
		ipcfs_waitqueue_kick(waits, wq);
}

/*
 * Adds the waiter to its waitqueue, and sees that a thread serves it. Call with the lock held.
 * -ENOTCONN: the wait room stops.
 * -EIDRM: the object's IPC namespace has ended.
 * -ENOMEM
 * The errors of ipcfs_waitqueue_start.
 */
static int enqueue(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waitqueue *wq;
	int err = 0;

	if (waits->stopping)
		return -ENOTCONN;
	if (ipcfs_space_has_ended(waiter->object->space))
		return -EIDRM;
	wq = ipcfs_waitqueue_get(waits, waiter->object, waiter->direction, waiter->selector,
				 waiter->unordered);
	if (!wq)
		return -ENOMEM;
	waiter->wq = wq;
	if (waiter->asleep)
		DL_APPEND(wq->sleepers, waiter);
	else
		stand(waits, wq, waiter);
	waiter->timer.waiter = waiter;
	err = ipcfs_timer_set(&waits->timers, &waiter->timer, waiter->deadline);
	waiter->object->waits.parked[waiter->direction]++;
	waiter->parking = false;
	if (!err && !ipcfs_waitqueue_has_descriptor(wq))
		err = ipcfs_waitqueue_start(waits, wq);
	waiter->busy = !err && waiter->untried && wq->head == waiter;
	if (err)
		ipcfs_waiter_leave(waits, waiter);
	else if (ipcfs_waitqueue_has_descriptor(wq) && !waiter->busy)
		ipcfs_waitqueue_set_dirty(waits, wq);
	return err;
}

/*
 * Counts a waiter that is to be parked: against max_waiters, and the bytes that it keeps.
 * -EAGAIN, -ENOMEM: as ipcfs_quota_wait and ipcfs_quota_charge.
 */
static int count(struct ipcfs_quota *quota, struct ipcfs_waiter *waiter)
{
	size_t bytes = WAITER_BYTES + waiter->kept;
	int err;

	if (!waiter->counted) {
		waiter->charged += ipcfs_quota_charge_kept(quota, waiter->uid, bytes);
		return 0;
	}
	err = ipcfs_quota_wait(quota, waiter->uid);
	if (err)
		return err;
	err = ipcfs_quota_charge(quota, waiter->uid, bytes);
	if (err)
		ipcfs_quota_waited(quota, waiter->uid);
	else
		waiter->charged += bytes;
	return err;
}

/* Wakes the loop thread if it has waitqueues to serve. */
static void wake_if_dirty(struct ipcfs_waits *waits)
{
	bool dirty;

	pthread_mutex_lock(&waits->lock);
	dirty = waits->dirty != NULL;
	pthread_mutex_unlock(&waits->lock);
	if (dirty)
		ipcfs_waits_wake(waits);
}

int ipcfs_waits_park(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waiter *parked = malloc(waiter->ops->size);
	uint64_t came;
	bool wake, busy;
	int err;

	(void)ipcfs_fault("waits.park");
	if (!parked)
		return -ENOMEM;
	memcpy(parked, waiter, waiter->ops->size);
	parked->parking = true;
	came = ipcfs_unanswered_since(); /* before the clock is read again */
	parked->since = time(NULL) - (time_t)((ipcfs_clock_ns() - came) / 1000000000);
	err = count(waits->fs->quota, parked);
	if (err) {
		free(parked);
		return err;
	}

	parked->kept_as = parked->req ? ipcfs_unanswered_park() : 0;
	ipcfs_object_ref(&waits->fs->objects, parked->object);
	/* First, since another thread may answer and free a waiter that is in a waitqueue. */
	if (parked->req)
		fuse_req_interrupt_func(parked->req, note_interrupt, parked);
	(void)ipcfs_fault("waits.parking");
	pthread_mutex_lock(&waits->lock);
	err = enqueue(waits, parked);
	busy = parked->busy;
	/*
	 * The loop thread has a waitqueue to serve, an INTERRUPT left until now, or a new deadline.
	 */
	wake = waits->dirty || parked->interrupted ||
	       ipcfs_timer_first(&waits->timers) == &parked->timer;
	pthread_mutex_unlock(&waits->lock);
	if (wake)
		ipcfs_waits_wake(waits);
	if (busy) {
		(void)ipcfs_waiter_try(waits, parked);
		wake_if_dirty(waits);
	}
	if (!err)
		return 0;

	if (parked->req)
		fuse_req_interrupt_func(parked->req, NULL, NULL);
	parked->charged -= waiter->charged; /* the caller has that still */
	pthread_mutex_lock(&waits->lock);
	ipcfs_waiter_withdraw(waits, parked);
	pthread_mutex_unlock(&waits->lock);
	free(parked);
	ipcfs_object_unref(&waits->fs->objects, waiter->object);
	return err;
}

/* Claims the first waiter for this handle. As ipcfs_waiter_claim; call without the lock. */
static struct ipcfs_waiter *claim(struct ipcfs_waits *waits, int handle)
{
	struct ipcfs_waiter *head = NULL;
	struct ipcfs_waitqueue *wq;

	pthread_mutex_lock(&waits->lock);
	DL_FOREACH (waits->queues, wq)
		if (!head && !waits->resting && wq->handle == handle &&
		    ipcfs_waitqueue_has_descriptor(wq))
			head = ipcfs_waiter_claim(wq);
	pthread_mutex_unlock(&waits->lock);
	return head;
}

void ipcfs_waits_ready(struct ipcfs_waits *waits, int handle)
{
	struct ipcfs_waiter *head = claim(waits, handle);

	if (!head)
		return;
	for (unsigned served = 1; head && ipcfs_waiter_try(waits, head); served++)
		head = served < IPCFS_TURN_MAX ? claim(waits, handle) : NULL;
	wake_if_dirty(waits);
}

void ipcfs_waits_recheck(struct ipcfs_waits *waits, struct ipcfs_object *object)
{
	bool wake;

	pthread_mutex_lock(&waits->lock);
	for (struct ipcfs_waitqueue *wq = object->waits.queues; wq; wq = wq->next_of_object) {
		ipcfs_waitqueue_retry(waits, wq);
		ipcfs_waitqueue_set_dirty(waits, wq);
	}
	wake = waits->dirty != NULL;
	pthread_mutex_unlock(&waits->lock);
	if (wake)
		ipcfs_waits_wake(waits);
}

bool ipcfs_waits_is_queued(struct ipcfs_waits *waits, const struct ipcfs_object *object,
			   enum ipcfs_direction direction, long selector)
{
	const struct ipcfs_waitqueue *wq;
	bool queued;

	if (object->waits.parked[direction] == 0)
		return false;
	pthread_mutex_lock(&waits->lock);
	wq = ipcfs_waitqueue_find(object, direction, selector);
	queued = wq && wq->head;
	pthread_mutex_unlock(&waits->lock);
	return queued;
}

void ipcfs_waits_rouse(struct ipcfs_waits *waits, const struct ipcfs_object *object,
		       enum ipcfs_direction direction, long selector, uint32_t count,
		       bool (*matches)(const struct ipcfs_waiter *sleeper, const void *arg),
		       const void *arg)
{
	struct ipcfs_waiter *sleeper, *next;
	struct ipcfs_waitqueue *wq;

	pthread_mutex_lock(&waits->lock);
	wq = ipcfs_waitqueue_find(object, direction, selector);
	for (sleeper = wq ? wq->sleepers : NULL; sleeper && count; sleeper = next) {
		next = sleeper->next;
		if (!matches(sleeper, arg))
			continue;
		ipcfs_unanswered_called(sleeper->kept_as);
		ipcfs_waiter_rouse(sleeper, 0);
		count--;
	}
	pthread_mutex_unlock(&waits->lock);
}

/* Calls `each` for the waiters of a list. Errors as of ipcfs_waits_each. */
static int each_of(const struct ipcfs_waiter *waiter,
		   int (*each)(void *arg, const struct ipcfs_waiter *waiter), void *arg)
{
	int result = 0;

	for (; waiter && !result; waiter = waiter->next)
		result = each(arg, waiter);
	return result;
}

int ipcfs_waits_each(struct ipcfs_waits *waits, const struct ipcfs_object *object,
		     int (*each)(void *arg, const struct ipcfs_waiter *waiter), void *arg)
{
	const struct ipcfs_waitqueue *wq;
	int result = 0;

	pthread_mutex_lock(&waits->lock);
	for (wq = object->waits.queues; wq && !result; wq = wq->next_of_object)
		result = each_of(wq->head, each, arg);
	for (wq = object->waits.queues; wq && !result; wq = wq->next_of_object)
		result = each_of(wq->sleepers, each, arg);
	pthread_mutex_unlock(&waits->lock);
	return result;
}

void ipcfs_waits_check_pollers(struct ipcfs_waits *waits, struct ipcfs_object *object)
{
	if (object->waits.pollers == 0 || object->class->queue->pollable)
		return; /* epoll notices */
	pthread_mutex_lock(&waits->lock);
	for (struct ipcfs_waitqueue *wq = object->waits.queues; wq; wq = wq->next_of_object)
		if (wq->pollers)
			ipcfs_waitqueue_set_dirty(waits, wq);
	pthread_mutex_unlock(&waits->lock);
	ipcfs_waits_wake(waits);
}
