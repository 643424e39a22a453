/* SPDX-License-Identifier: MIT */
/*
 * The thread of a waitqueue whose object has no descriptor: it waits in a blocking call. Modelled
 * in docs/dev/model/thread.pml.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/contract/fault.h"
#include "fs/base/clear_stack.h"
#include "fs/wait/waiter.h"
#include "fs/wait/waitqueue.h"
#include "fs/wait/waits_inside.h"

#define IDLE_TIME                                                                                  \
	200 /* ms that a thread waits for another waiter: a loop of readers returns soon */

#define SLEEP_TIME 500 /* ms after which a sleeper is roused whose object was removed directly */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (512 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_SIZE (512 * 1024)
#endif
#endif
#ifndef STACK_SIZE
#define STACK_SIZE (64 * 1024) /* of which two or three pages are touched */
#endif

struct thread_start {
	struct ipcfs_waits *waits;
	struct ipcfs_waitqueue *wq;
};

/*
 * Notes that the thread is about to enter its blocking call, or an attempt after which it may
 * enter it. Call with the lock held.
 */
static void enter_call(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	wq->calling = true;
	if (wq->direction == IPCFS_SEND && wq->object->class->queue) {
		if (waits->sending++ == 0)
			ipcfs_waits_wake(waits); /* the loop thread checks permissions meanwhile */
	}
}

/*
 * Notes that the thread has left its blocking call. Returns whether it was kicked since
 * enter_call. Call with the lock held.
 */
static bool leave_call(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	bool kicked = wq->kicked;

	wq->calling = false;
	if (wq->direction == IPCFS_SEND && wq->object->class->queue)
		waits->sending--;
	if (kicked)
		waits->kicked--;
	wq->kicked = false;
	return kicked;
}

/*
 * Rouses all sleepers if their object is gone: their attempts tell them. Call with the lock held,
 * which is released meanwhile.
 */
static void check_sleepers(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	struct ipcfs_perm perm;
	int err;

	wq->stale = false;
	pthread_mutex_unlock(&waits->lock);
	err = ipcfs_object_perm(wq->object, wq->handle, &perm);
	pthread_mutex_lock(&waits->lock);
	while (err && wq->sleepers)
		ipcfs_waiter_rouse(wq->sleepers, 0);
}

/*
 * Waits for a waiter to arrive, up to IDLE_TIME, or as long as there are sleepers. Returns whether
 * one is there. Call with the lock held, which is released meanwhile.
 */
static bool wait_for_arrival(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	struct timespec until;

	ipcfs_clear_stack();
	while (!wq->head && !waits->stopping && !waits->resting) {
		if (wq->sleepers && wq->stale) {
			check_sleepers(waits, wq);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (wq->sleepers ? SLEEP_TIME : IDLE_TIME) * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_timedwait(&wq->arrival, &waits->lock, &until) != ETIMEDOUT)
			continue;
		if (!wq->sleepers)
			break;
		wq->stale = true;
	}
	return wq->head != NULL;
}

/*
 * Attempts what the first waiter asks for; an attempt to send, or of a semaphore operation, blocks.
 * Returns true if the waiter was answered, or was kicked and is to be tried again: something
 * changed that the attempt may not have seen. Returns false if it has to wait. Call with the lock
 * held, which is released meanwhile.
 */
static bool serve_head(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	struct ipcfs_waiter *head = wq->head;
	bool wait = wq->direction == IPCFS_SEND;
	ssize_t result;
	bool kicked;

	head->busy = true;
	enter_call(waits, wq);
	pthread_mutex_unlock(&waits->lock);
	(void)ipcfs_fault("waits.serve");
	result = ipcfs_waiter_attempt(head, wait);
	(void)ipcfs_fault("waits.tried");
	pthread_mutex_lock(&waits->lock);
	kicked = leave_call(waits, wq);
	head->busy = false;
	if (result == -EAGAIN || result == -EINTR) {
		if (!head->end_reason)
			return kicked;
		result = ipcfs_waiter_end(waits, head);
	} else {
		ipcfs_waiter_leave(waits, head);
	}
	pthread_mutex_unlock(&waits->lock);
	ipcfs_waiter_finish(waits, head, result);
	pthread_mutex_lock(&waits->lock);
	return true;
}

/*
 * Gives an empty message that the blocking call took to the first waiter, or to `unclaimed` if
 * there is no waiter or the first one may not have it. Call with the lock held, which is released
 * meanwhile.
 */
static void give_empty_message(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq, long type)
{
	struct ipcfs_waiter *head = wq->head;
	int err = -ENOENT;

	if (head) {
		head->busy = true;
		pthread_mutex_unlock(&waits->lock);
		err = head->ops->accept(head, type);
		pthread_mutex_lock(&waits->lock);
		head->busy = false;
	}
	if (!err)
		ipcfs_waiter_leave(waits, head);
	pthread_mutex_unlock(&waits->lock);
	if (!err) {
		ipcfs_waiter_finish(waits, head, 0);
	} else {
		waits->unclaimed(waits->fs, wq->object, type);
	}
	pthread_mutex_lock(&waits->lock);
}

/*
 * Blocks until a message that the waitqueue's selector selects is in the queue. Call with the lock
 * held, which is released meanwhile.
 */
static void wait_for_message(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	long type;
	int found;

	enter_call(waits, wq);
	pthread_mutex_unlock(&waits->lock);
	ipcfs_clear_stack();
	found = wq->object->class->queue->wait(wq->handle, wq->selector, &type);
	pthread_mutex_lock(&waits->lock);
	(void)leave_call(waits, wq);
	if (found > 0)
		give_empty_message(waits, wq, type);
}

static void *waitqueue_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;
	struct ipcfs_waits *waits = start.waits;
	struct ipcfs_waitqueue *wq = start.wq;
	sigset_t kicks;

	free(arg);
	ipcfs_space_pin(wq->object->space);
	sigemptyset(&kicks);
	sigaddset(&kicks, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &kicks, NULL);

	pthread_mutex_lock(&waits->lock);
	wq->tid = gettid();
	while (!waits->resting && (wq->head || (!wq->unordered && wait_for_arrival(waits, wq)))) {
		if (serve_head(waits, wq))
			continue;
		if (wq->direction == IPCFS_RECEIVE && wq->head && !wq->head->end_reason &&
		    !waits->resting)
			wait_for_message(waits, wq);
	}
	wq->threaded = false;
	waits->threads--;
	ipcfs_waitqueue_set_dirty(waits, wq);
	ipcfs_waits_wake(waits);
	pthread_mutex_unlock(&waits->lock);
	ipcfs_clear_stack(); /* the C library may give the stack to another thread */
	return NULL;
}

/*
 * Makes the thread of a waitqueue. For ipcfs_space_run: the new thread then shares the undo values
 * of semaphores with the space's other threads, and may take a hold.
 */
static int make_thread(void *arg)
{
	struct thread_start *start;
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int err;

	start = malloc(sizeof(*start));
	if (!start)
		return -ENOMEM;
	*start = *(struct thread_start *)arg;
	err = pthread_attr_init(&attributes);
	if (err) {
		free(start);
		return -err;
	}
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&thread, &attributes, waitqueue_main, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (err)
		free(start);
	return -err;
}

int ipcfs_waitqueue_start(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	struct thread_start start = { waits, wq };
	int err;

	if (wq->threaded) {
		pthread_cond_signal(&wq->arrival);
		return 0;
	}
	wq->threaded = true;
	waits->threads++;
	err = ipcfs_space_run(wq->object->space, make_thread, &start);
	if (err) {
		wq->threaded = false;
		waits->threads--;
	}
	return err;
}
