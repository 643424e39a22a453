/* SPDX-License-Identifier: MIT */
#include "fs/wait/waiter.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/base/unanswered.h"
#include "fs/wait/waitqueue.h"
#include "fs/wait/waits_inside.h"

void ipcfs_waiter_leave(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waitqueue *wq = waiter->wq;

	if (waiter->asleep)
		DL_DELETE(wq->sleepers, waiter);
	else
		DL_DELETE(wq->head, waiter);
	waiter->wq = NULL;
	waiter->busy = false;
	ipcfs_timer_stop(&waits->timers, &waiter->timer);
	waiter->object->waits.parked[waiter->direction]--;
	if (wq->head)
		return;
	if (waiter->direction == IPCFS_RECEIVE && wq->object->class->queue &&
	    wq->object->class->queue->idle)
		wq->object->class->queue->idle(wq->handle);
	if (wq->threaded)
		ipcfs_waitqueue_kick(waits, wq);
	else
		ipcfs_waitqueue_set_dirty(waits, wq); /* the loop thread frees it */
}

/* Puts the detached waiter before this one, in its waitqueue and in the counts. */
static void take_place(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter,
		       struct ipcfs_waiter *detached)
{
	detached->next_interrupted = NULL;
	detached->interrupted = detached->interrupt_ignored = detached->busy = false;
	detached->detaches = false;
	detached->asked = 0;
	detached->timer.place = 0;
	detached->end_reason = 0;
	detached->counted = waiter->counted;
	waiter->counted = false;
	detached->charged = waiter->charged;
	waiter->charged = 0;
	ipcfs_object_ref(&waits->fs->objects, detached->object);
	DL_PREPEND_ELEM(waiter->wq->head, waiter, detached);
	detached->object->waits.parked[detached->direction]++;
}

ssize_t ipcfs_waiter_end(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waiter *detached = NULL;
	struct ipcfs_unanswered_before own;
	const struct ipcfs_space *before;
	ssize_t result = waiter->end_reason;

	if (waiter->detaches) {
		before = ipcfs_object_enter(waiter->object);
		own = ipcfs_unanswered_resume(waiter->kept_as);
		result = waiter->ops->detach(waiter, &detached);
		ipcfs_unanswered_rest(own);
		ipcfs_space_leave(before);
	}
	if (detached)
		take_place(waits, waiter, detached);
	ipcfs_waiter_leave(waits, waiter);
	return result;
}

bool ipcfs_waiter_stop(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter, int reason)
{
	waiter->end_reason = reason;
	if (waiter->busy) {
		ipcfs_waitqueue_kick(waits, waiter->wq);
		return false;
	}
	waiter->end_reason = (int)ipcfs_waiter_end(waits, waiter);
	return true;
}

struct ipcfs_waiter *ipcfs_waiter_claim(struct ipcfs_waitqueue *wq)
{
	struct ipcfs_waiter *head = wq->head;

	if (!head)
		return NULL;
	head->outdated = head->busy;
	if (head->busy)
		return NULL;
	head->busy = true;
	return head;
}

bool ipcfs_waiter_try(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	struct ipcfs_waitqueue *wq = waiter->wq;
	bool again;
	ssize_t result;

	(void)ipcfs_fault("waits.serve");
	result = ipcfs_waiter_attempt(waiter, false);
	pthread_mutex_lock(&waits->lock);
	waiter->busy = false;
	again = waiter->outdated || waiter->end_reason; /* ipcfs_waiter_stop came meanwhile */
	waiter->outdated = false;
	if (result == -EAGAIN && waiter->end_reason)
		result = ipcfs_waiter_end(waits, waiter);
	else if (result != -EAGAIN)
		ipcfs_waiter_leave(waits, waiter);
	else
		ipcfs_waitqueue_arm(waits, wq);
	if (again)
		ipcfs_waitqueue_set_dirty(waits, wq); /* it, or what stands there now, is tried */
	pthread_mutex_unlock(&waits->lock);
	if (result != -EAGAIN)
		ipcfs_waiter_finish(waits, waiter, result);
	return result != -EAGAIN;
}

void ipcfs_waiter_rouse(struct ipcfs_waiter *waiter, int reason)
{
	struct ipcfs_waitqueue *wq = waiter->wq;

	DL_DELETE(wq->sleepers, waiter);
	DL_APPEND(wq->head, waiter);
	waiter->asleep = false;
	waiter->roused_by = reason;
	/* the deadline was that of the sleep */
	ipcfs_timer_stop(&waiter->fs->waits->timers, &waiter->timer);
	pthread_cond_signal(&wq->arrival); /* the thread is there as long as there are sleepers */
}

void ipcfs_waiter_withdraw(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter)
{
	if (waiter->interrupted)
		LL_DELETE2(waits->interrupted, waiter, next_interrupted);
	waiter->interrupted = false;
	if (waiter->counted)
		ipcfs_quota_waited(waits->fs->quota, waiter->uid);
	ipcfs_waiter_release(waiter);
}

ssize_t ipcfs_waiter_attempt(struct ipcfs_waiter *waiter, bool wait)
{
	struct ipcfs_unanswered_before own = ipcfs_unanswered_resume(waiter->kept_as);
	ssize_t result = waiter->ops->attempt(waiter, wait);

	ipcfs_unanswered_rest(own);
	return result;
}

void ipcfs_waiter_finish(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter, ssize_t result)
{
	struct ipcfs_filesystem *fs = waits->fs;
	struct ipcfs_object *object = waiter->object;
	struct ipcfs_unanswered_before own;
	const struct ipcfs_space *before;

	/* Waits until note_interrupt has returned, if it runs. It can't be called afterwards. */
	if (waiter->req)
		fuse_req_interrupt_func(waiter->req, NULL, NULL);
	pthread_mutex_lock(&waits->lock);
	ipcfs_waiter_withdraw(waits, waiter);
	pthread_mutex_unlock(&waits->lock);
	before = ipcfs_object_enter(object);
	own = ipcfs_unanswered_resume(waiter->kept_as);
	waiter->ops->answer(waiter, result);
	ipcfs_unanswered_rest(own);
	ipcfs_space_leave(before);
	free(waiter);
	ipcfs_object_unref(&fs->objects, object);
}
