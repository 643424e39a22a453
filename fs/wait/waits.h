/* SPDX-License-Identifier: MIT */
/*
 * The wait room: parks requests that would block, and tells pollers when a queue becomes ready.
 * Called by the rooms of the subjects (queue/, semaphore/), by control/ and by ops/.
 * Calls request/ and below. Knows neither messages nor semaphore operations.
 *
 * A parked request occupies no session thread. Waiters for the same thing stand in one waitqueue
 * and are served in the order of their arrival. Where the object has a descriptor for epoll, the
 * loop thread serves the waitqueue. Every other waitqueue that has waiters has a thread of its own
 * with a small stack, which waits in a blocking call. A sleeper stands aside in its waitqueue until
 * another request rouses it.
 */
#ifndef IPCFS_WAITS_H
#define IPCFS_WAITS_H

#include "fs/wait/waiter.h"

/*
 * Disposes of an empty message of this type: the blocking call of a waitqueue took it from the
 * object's queue, and no waiter can have it.
 */
typedef void ipcfs_unclaimed(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type);

/*
 * Creates the wait room. Free it with ipcfs_waits_destroy, which closes `watch`: an instance of
 * inotify(7) for ipcfs_waits_watch. -1: it makes one.
 * -ENOMEM
 * -EMFILE, -ENFILE: of epoll_create1(2) and eventfd(2).
 */
int ipcfs_waits_create(struct ipcfs_filesystem *fs, ipcfs_unclaimed *unclaimed, int watch,
		       struct ipcfs_waits **waits);

/*
 * Starts the loop thread.
 * -EAGAIN: of pthread_create(3).
 * -ENOMEM, -ENOSPC: of epoll_ctl(2).
 */
int ipcfs_waits_start(struct ipcfs_waits *waits);

/*
 * Answers every waiter with ENOTCONN, and waits until all threads have ended. From now on
 * ipcfs_waits_park refuses every request.
 */
void ipcfs_waits_stop(struct ipcfs_waits *waits);

/*
 * Waits until all threads have ended, each after what it does now. Waiters stay parked, for the
 * next worker. Call after the session threads have ended, and nothing but ipcfs_waits_stop after it.
 */
void ipcfs_waits_rest(struct ipcfs_waits *waits);

/* Frees a wait room that was stopped, or never started. NULL is fine. */
void ipcfs_waits_destroy(struct ipcfs_waits *waits);

/*
 * Parks a request whose attempt would block. Returns 0: the wait room has a copy, which owns what
 * the caller's struct owned, and answers the request. After an error the caller still owns the
 * struct and answers the request.
 * -EAGAIN: the uid, or all uids together, have too many waiters; or no thread can be made.
 * -ENOMEM
 * -EIDRM: the object's IPC namespace has ended.
 * -ENOTCONN: the wait room stops.
 */
int ipcfs_waits_park(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter);

/*
 * Tries the waiters for this handle in the calling thread, so that none has to be woken for them.
 * It may be any number, as the handle may be closed by now. Its descriptor tells all the same.
 */
void ipcfs_waits_ready(struct ipcfs_waits *waits, int handle);

/*
 * Returns whether waiters stand in the ordered waitqueue for this object, direction and selector,
 * so that a newcomer has to wait behind them. Sleepers do not count.
 */
bool ipcfs_waits_is_queued(struct ipcfs_waits *waits, const struct ipcfs_object *object,
			   enum ipcfs_direction direction, long selector);

/*
 * Rouses sleepers of that waitqueue that `matches` chooses, in the order of their arrival, `count`
 * at most. `matches` is called with the wait room's lock held.
 */
void ipcfs_waits_rouse(struct ipcfs_waits *waits, const struct ipcfs_object *object,
		       enum ipcfs_direction direction, long selector, uint32_t count,
		       bool (*matches)(const struct ipcfs_waiter *sleeper, const void *arg),
		       const void *arg);

/*
 * Has every waiter of an object tried again: the object's permissions or limits were changed, or
 * the object was removed.
 */
void ipcfs_waits_recheck(struct ipcfs_waits *waits, struct ipcfs_object *object);

/*
 * Watches the objects of a space: when another process removes one, or changes its permissions,
 * waiters are tried again. Returns 0 or the negative errno of the class's watch or of epoll_ctl(2).
 */
int ipcfs_waits_watch(struct ipcfs_waits *waits, const struct ipcfs_space *space);

/* Answers every waiter of a space that has ended with EIDRM. */
void ipcfs_waits_space_ended(struct ipcfs_waits *waits, const struct ipcfs_space *space);

/*
 * Calls `each` for every waiter of an object, those of a waitqueue in the order in which they are
 * served, sleepers last, with the wait room's lock held, so that `each` may
 * not call the wait room. Ends early when `each` returns other than 0. Returns its last result.
 */
int ipcfs_waits_each(struct ipcfs_waits *waits, const struct ipcfs_object *object,
		     int (*each)(void *arg, const struct ipcfs_waiter *waiter), void *arg);

/*
 * Has the pollers of a queue checked at once, since a message went into it or came out of it. Does
 * nothing where epoll watches the queue.
 */
void ipcfs_waits_check_pollers(struct ipcfs_waits *waits, struct ipcfs_object *object);

/*
 * Notifies the handle once the queue becomes ready in one of the directions, a set of bits
 * 1 << enum ipcfs_direction. The wait room owns the handle, also after an error, until the file's
 * next ipcfs_waits_poll or ipcfs_waits_unpoll.
 * -ENOMEM
 */
int ipcfs_waits_poll(struct ipcfs_waits *waits, struct ipcfs_file *file, unsigned directions,
		     struct fuse_pollhandle *handle);

/*
 * Notifies the file's handle, if it has one, once more when the queue becomes ready. Call when a
 * read or a write of the file found nothing to do: an edge-triggered epoll asked once and will
 * not ask again.
 */
void ipcfs_waits_poll_again(struct ipcfs_waits *waits, struct ipcfs_file *file,
			    enum ipcfs_direction direction);

/*
 * Returns whether a poll(2) of the file, which stands in within/SECONDS/, waited that long, and
 * ended just now. The read or write that comes next then fails with -ETIMEDOUT instead of waiting;
 * it has this forgotten (`clear`).
 */
bool ipcfs_waits_poll_expired(struct ipcfs_waits *waits, struct ipcfs_file *file,
			      enum ipcfs_direction direction, bool clear);

/* Removes the file's pollers and destroys its handle. Call before the file is closed. */
void ipcfs_waits_unpoll(struct ipcfs_waits *waits, struct ipcfs_file *file);

#endif
