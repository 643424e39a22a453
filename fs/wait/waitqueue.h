/* SPDX-License-Identifier: MIT */
/*
 * A waitqueue: the waiters and pollers for one thing, which is an object, a direction and, where a
 * receiver selects messages, a selector. For the sources of fs/wait/ only.
 *
 * The wait room's lock guards every field. Call each function with that lock held, unless its
 * comment says otherwise. Only the loop thread removes and frees a waitqueue.
 */
#ifndef IPCFS_WAITQUEUE_H
#define IPCFS_WAITQUEUE_H

#include "fs/request/file.h"

struct ipcfs_waiter;
struct ipcfs_waits;

/* Waiters that one waitqueue may have served before the others have their turn. */
#define IPCFS_TURN_MAX 32

struct ipcfs_waitqueue {
	struct ipcfs_object *object; /* a reference */
	enum ipcfs_direction direction;
	long selector; /* of the messages to receive; 0: any */
	int handle;    /* of the object, opened for the waitqueue */
	struct ipcfs_waiter *head;
	struct ipcfs_waiter *sleepers; /* waiters that nobody serves until they are roused */
	struct ipcfs_poller *pollers;
	struct ipcfs_waitqueue *next, *prev; /* in the list of all waitqueues */
	/* in the list of the object's waitqueues, the newest last */
	struct ipcfs_waitqueue *next_of_object, *prev_of_object;
	struct ipcfs_waitqueue *next_dirty;
	int64_t last_polled; /* when a poller was last added, ms of ipcfs_waits_now */
	bool dirty;	     /* in the list of waitqueues that the loop thread is to serve */
	bool registered;     /* the handle is in the epoll set */
	bool unordered;	     /* has one waiter only, and no other waiter joins it */

	/* For an object without a descriptor: the thread that waits in a blocking call. */
	bool threaded; /* the thread exists */
	bool calling;  /* the thread is in the call, or about to enter it, or tries a waiter */
	bool kicked;   /* the thread is to leave the call, and has not left it yet */
	bool stale;    /* the thread is to see whether the object of the sleepers is still there */
	pid_t tid;
	pthread_cond_t arrival; /* a waiter arrived, or the wait room stops */
};

/*
 * Returns the waitqueue for this object, direction and selector. Makes a new one if there is none,
 * and always with `unordered`. NULL: no memory, or the object can't be opened.
 */
struct ipcfs_waitqueue *ipcfs_waitqueue_get(struct ipcfs_waits *waits, struct ipcfs_object *object,
					    enum ipcfs_direction direction, long selector,
					    bool unordered);

/* Returns the ordered waitqueue for this object, direction and selector. NULL: there is none. */
struct ipcfs_waitqueue *ipcfs_waitqueue_find(const struct ipcfs_object *object,
					     enum ipcfs_direction direction, long selector);

/* Has the loop thread serve the waitqueue in its next round. Does not wake the loop thread. */
void ipcfs_waitqueue_set_dirty(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/*
 * Has epoll report once that the object is ready for the waitqueue's direction. If epoll can't, for
 * want of memory or by fs.epoll.max_user_watches, the loop thread tries it at intervals.
 */
void ipcfs_waitqueue_arm(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Checks that nothing uses the waitqueue any more, so that it may be removed and freed. */
bool ipcfs_waitqueue_is_idle(const struct ipcfs_waitqueue *wq);

/* Takes the waitqueue out of the lists. Call in the loop thread. */
void ipcfs_waitqueue_remove(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Frees a waitqueue that was removed. Call in the loop thread, without the lock. */
void ipcfs_waitqueue_free(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Has the thread leave its blocking call, if it is in one. */
void ipcfs_waitqueue_kick(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Has the thread, if there is one, try the waiters again: the object may have changed. */
void ipcfs_waitqueue_retry(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/*
 * Starts the thread, or wakes it if it exists.
 * -EAGAIN, -ENOMEM: of pthread_create(3), or of ipcfs_space_run.
 * -EIDRM: the object's IPC namespace has ended.
 */
int ipcfs_waitqueue_start(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Ends the polling of a file, whose time is over: its next read or write does not wait. */
void ipcfs_poller_expire(struct ipcfs_waits *waits, struct ipcfs_poller *poller);

/* Notifies and removes the pollers if the object is ready. Call without the lock. */
void ipcfs_waitqueue_notify(struct ipcfs_waits *waits, struct ipcfs_waitqueue *wq);

/* Returns whether epoll can wait for the object. Otherwise the waitqueue needs a thread. */
static inline bool ipcfs_waitqueue_has_descriptor(const struct ipcfs_waitqueue *wq)
{
	return wq->object->class->queue && wq->object->class->queue->pollable;
}

#endif
