/* SPDX-License-Identifier: MIT */
#include "fs/wait/waitqueue.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/wait/waits_inside.h"

/* Returns the selector by which waiters for the object are told apart. */
static long used_selector(const struct ipcfs_object *object, enum ipcfs_direction direction,
			  long selector)
{
	const struct ipcfs_queue_ops *queue = object->class->queue;

	return queue && (direction == IPCFS_SEND || !queue->typed_receive) ? 0 : selector;
}

struct ipcfs_waitqueue *ipcfs_waitqueue_find(const struct ipcfs_object *object,
					     enum ipcfs_direction direction, long selector)
{
	struct ipcfs_waitqueue *wq;

	selector = used_selector(object, direction, selector);
	for (wq = object->waits.queues; wq; wq = wq->next_of_object)
		if (wq->direction == direction && wq->selector == selector && !wq->unordered)
			return wq;
	return NULL;
}

struct ipcfs_waitqueue *ipcfs_waitqueue_get(struct ipcfs_waits *waits, struct ipcfs_object *object,
					    enum ipcfs_direction direction, long selector,
					    bool unordered)
{
	struct ipcfs_waitqueue *wq;

	wq = unordered ? NULL : ipcfs_waitqueue_find(object, direction, selector);
	if (wq)
		return wq;
	wq = calloc(1, sizeof(*wq));
	if (!wq)
		return NULL;
	/* The waiter or poller has the object open: this only counts one more user. */
	if (ipcfs_object_open(&waits->fs->objects, object, direction, &wq->handle)) {
		free(wq);
		return NULL;
	}
	ipcfs_object_ref(&waits->fs->objects, object);
	wq->object = object;
	wq->direction = direction;
	wq->selector = used_selector(object, direction, selector);
	wq->unordered = unordered;
	pthread_cond_init(&wq->arrival, NULL);
	DL_APPEND2(object->waits.queues, wq, prev_of_object, next_of_object);
	DL_APPEND(waits->queues, wq);
	return wq;
}

void ipcfs_waitqueue_set_dirty(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	if (wq->dirty)
		return;
	wq->dirty = true;
	wq->next_dirty = waits->dirty;
	waits->dirty = wq;
}

void ipcfs_waitqueue_arm(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	struct epoll_event event = {
		.events = EPOLLONESHOT | (wq->direction == IPCFS_SEND ? EPOLLOUT : EPOLLIN),
		.data.ptr = wq,
	};
	int op = wq->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(waits->epoll, op, wq->handle, &event) == 0)
		wq->registered = true;
	else
		waits->unarmed = true;
}

bool ipcfs_waitqueue_is_idle(const struct ipcfs_waitqueue *wq)
{
	return !wq->head && !wq->sleepers && !wq->pollers && !wq->threaded && !wq->dirty;
}

void ipcfs_waitqueue_remove(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	DL_DELETE2(wq->object->waits.queues, wq, prev_of_object, next_of_object);
	DL_DELETE(waits->queues, wq);
	if (wq->registered)
		(void)epoll_ctl(waits->epoll, EPOLL_CTL_DEL, wq->handle, NULL);
}

void ipcfs_waitqueue_free(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	ipcfs_object_close(&waits->fs->objects, wq->object, wq->direction);
	ipcfs_object_unref(&waits->fs->objects, wq->object);
	pthread_cond_destroy(&wq->arrival);
	free(wq);
}

void ipcfs_waitqueue_kick(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	if (!wq->threaded || !wq->calling)
		return;
	if (!wq->kicked) {
		wq->kicked = true;
		waits->kicked++;
		ipcfs_waits_wake(waits);
	}
	/* A signal before the call is lost: the loop thread kicks until the thread leaves it. */
	(void)syscall(SYS_tgkill, getpid(), wq->tid, SIGUSR1);
}

void ipcfs_waitqueue_retry(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq)
{
	ipcfs_waitqueue_kick(waits, wq);
	if (!wq->sleepers)
		return;
	wq->stale = true;
	pthread_cond_signal(&wq->arrival);
}
