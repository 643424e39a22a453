/* SPDX-License-Identifier: MIT */
/*
 * A waiter: a request that would block, or a message that the daemon sends by itself. A handler has
 * the waiter on its stack, and parking copies it to the heap. Each subject embeds the waiter at the
 * start of a struct of its own (queue/queue_waiter.h, semaphore/operation.h).
 */
#ifndef IPCFS_WAITER_H
#define IPCFS_WAITER_H

#include "fs/request/file.h"

struct ipcfs_waiter;
struct ipcfs_waits;

/* The operations of a waiter. There is one table for each sort of request. */
struct ipcfs_waiter_ops {
	size_t size; /* of the whole struct that begins with the waiter, bytes */

	/*
	 * Tries to do what the request asks for. Keeps in the struct how far it got, since it may
	 * be called again. With `wait` it blocks, if the class waits in a call. Returns 0 when all
	 * is done.
	 * -EAGAIN: it would block.
	 * -EINTR: a signal ended the blocking call.
	 * Any other error ends the wait, and is what answer gets.
	 */
	ssize_t (*attempt)(struct ipcfs_waiter *waiter, bool wait);

	/*
	 * Replies with the result of attempt, or with the reason why the wait ended (a negative
	 * errno), and frees what the struct owns. Called once.
	 */
	void (*answer)(struct ipcfs_waiter *waiter, ssize_t result);

	/*
	 * Gives the waiter an empty message of this type, which the blocking call of its waitqueue
	 * took. NULL: the request receives nothing. Returns 0.
	 * -ENOMEM
	 * Any other error: the waiter may not receive.
	 */
	int (*accept)(struct ipcfs_waiter *waiter, long type);

	/*
	 * Ends the wait of a caller that is to stop, be frozen or be traced: what the daemon has of
	 * it goes on waiting in a detached waiter, made here. Returns what answer is to get.
	 * Called with the wait room's lock held. NULL: the wait ends with EINTR.
	 */
	ssize_t (*detach)(struct ipcfs_waiter *waiter, struct ipcfs_waiter **detached);
};

struct ipcfs_waiter {
	const struct ipcfs_waiter_ops *ops;
	struct ipcfs_filesystem *fs;
	fuse_req_t req;		 /* NULL: the waiter is detached, nobody gets its answer */
	struct ipcfs_file *file; /* NULL when detached; stays open until the answer */
	struct ipcfs_object *object;
	enum ipcfs_direction direction;
	int handle;		      /* of the object: the file's; a detached waiter's own */
	long selector;		      /* of the messages to receive; 0: any */
	bool ignores_default_signals; /* signals ignored by default don't end the wait */
	bool closes;	/* write(2) has accepted the message: a caught signal detaches the waiter */
	bool counted;	/* against max_waiters of its uid; otherwise max_bytes can't refuse it */
	bool unordered; /* in a waitqueue of its own: waits for no other waiter */
	bool first;	/* stands before the waiters that are not */
	bool untried;	/* no attempt was made: parking makes it, unless others stand before it */
	/*
	 * A sleeper of its waitqueue: no attempt is made until it is roused, and stands behind the
	 * waiters of the waitqueue. Set before it is parked; then guarded by the wait room's lock
	 * until the answer, which finds in it whether the waiter was roused.
	 */
	bool asleep;
	int roused_by;	   /* a negative errno, for the answer to a successful attempt; mostly 0 */
	time_t since;	   /* when it was parked; 0: it was not */
	uint64_t deadline; /* the wait ends then with -ETIMEDOUT, ns of ipcfs_clock_ns; 0: never */
	uid_t uid;	   /* of the caller */
	size_t kept;	   /* bytes that parking charges to the uid beside the waiter itself */
	size_t charged;	   /* bytes charged to the uid, until ipcfs_waiter_release */
	pid_t tid;	   /* of the calling thread */
	uint32_t kept_as;  /* of ipcfs_unanswered_park; 0: nothing is noted */

	/* For the wait room only; guarded by its lock. */
	struct ipcfs_waitqueue *wq; /* NULL: not yet, or no longer, in a waitqueue */
	struct ipcfs_waiter *next, *prev;
	struct ipcfs_waiter *next_interrupted; /* in the list of interrupted waiters */
	struct ipcfs_timer timer;	       /* of the deadline, while it is in a waitqueue */
	bool parking;			       /* is being parked: not yet in a waitqueue */
	bool interrupted;		       /* in the list of interrupted waiters */
	bool interrupt_ignored; /* interrupted by a signal that does not end the wait */
	unsigned asked;		/* number of the question about its signals, from 1; 0: none */
	unsigned asked_round;	/* of waits->round, in which it was asked about last */
	bool busy;		/* attempt or accept runs; the waiter stays where it is */
	bool outdated;		/* that attempt may have come too early: another one follows */
	int end_reason;		/* why the wait ends, a negative errno; 0: the wait goes on */
	bool detaches;		/* the wait ends by `detach` */
};

/* Returns a waiter, not yet parked, for a request on one direction of an open file's object. */
static inline struct ipcfs_waiter ipcfs_waiter_of(fuse_req_t req, struct ipcfs_file *file,
						  enum ipcfs_direction direction,
						  const struct ipcfs_waiter_ops *ops)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct ipcfs_waiter){
		.ops = ops,
		.fs = ipcfs_of(req),
		.req = req,
		.file = file,
		.object = ipcfs_file_object(ipcfs_of(req), file),
		.direction = direction,
		.handle = file->handle[direction],
		.counted = true,
		.deadline = ipcfs_file_deadline(file),
		.uid = context->uid,
		.tid = context->pid,
	};
}

/* Releases the bytes that are charged for the waiter, if any. */
static inline void ipcfs_waiter_release(struct ipcfs_waiter *waiter)
{
	ipcfs_quota_release(waiter->fs->quota, waiter->uid, waiter->charged);
	waiter->charged = 0;
}

/*
 * Takes the waiter out of its waitqueue. Call with the wait room's lock held, then answer the
 * waiter with ipcfs_waiter_finish, without the lock.
 */
void ipcfs_waiter_leave(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter);

/*
 * Ends the wait of a waiter whose end_reason is set: takes it out of its waitqueue, and, if it
 * detaches, puts the detached waiter in its place. Returns the result for ipcfs_waiter_finish. Call
 * with the wait room's lock held.
 */
ssize_t ipcfs_waiter_end(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter);

/*
 * Ends a wait for this reason, a negative errno. Returns true if the waiter left its waitqueue: the
 * caller calls ipcfs_waiter_finish, with the result that end_reason then is. Returns false if its
 * attempt runs at this moment: the thread that runs it ends the wait. Call with the wait room's
 * lock held.
 */
bool ipcfs_waiter_stop(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter, int reason);

/*
 * Rouses a sleeper: it becomes the last waiter of its waitqueue. `reason` is for roused_by. Call
 * with the wait room's lock held.
 */
void ipcfs_waiter_rouse(struct ipcfs_waiter *waiter, int reason);

/*
 * Undoes what parking counted, and takes the waiter out of the list of interrupted waiters. Call
 * with the wait room's lock held, for a waiter that is in no waitqueue.
 */
void ipcfs_waiter_withdraw(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter);

/*
 * Returns the first waiter of a waitqueue, busy now, for ipcfs_waiter_try. NULL: there is none, or
 * another thread tries it, and tries it again. Call with the wait room's lock held.
 */
struct ipcfs_waiter *ipcfs_waiter_claim(struct ipcfs_waitqueue *wq);

/*
 * Attempts a waiter of a waitqueue with a descriptor, which is busy, and answers it, or has epoll
 * wait for it. Returns whether it was answered. Call without the wait room's lock.
 */
bool ipcfs_waiter_try(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter);

/* Attempts what the waiter waits for, as `attempt` of its operations. */
ssize_t ipcfs_waiter_attempt(struct ipcfs_waiter *waiter, bool wait);

/* Answers a waiter that left its waitqueue, and frees it. Call without the wait room's lock. */
void ipcfs_waiter_finish(struct ipcfs_waits *waits, struct ipcfs_waiter *waiter, ssize_t result);

#endif
