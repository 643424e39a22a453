/* SPDX-License-Identifier: MIT */
#include "fs/segment/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"

#define WAITER_BYTES 512 /* of a request that waits */

/* A request that waits for a lock. */
struct lock_waiter {
	fuse_req_t req;
	struct ipcfs_filesystem *fs;
	struct ipcfs_object *object; /* lives as long as the request: the file is open */
	struct ipcfs_lock wanted;
	uid_t uid;
	bool waits;	  /* in the list below */
	bool interrupted; /* before it was in the list */
	int result;
	struct lock_waiter *next, *prev;
};

static struct {
	pthread_mutex_t lock;	     /* also guards segment.locks of all objects */
	struct lock_waiter *waiting; /* in the order of their arrival */
	bool stopping;
} locks = { .lock = PTHREAD_MUTEX_INITIALIZER };

/*
 * Takes a lock. Call with the lock held.
 * -EAGAIN: another owner has it.
 * Errors of ipcfs_lock_take.
 */
static int take(struct ipcfs_object *object, const struct ipcfs_lock *wanted)
{
	if (ipcfs_lock_conflict(object->segment.locks, wanted))
		return -EAGAIN;
	return ipcfs_lock_take(&object->segment.locks, wanted);
}

/*
 * Takes the locks of an object that waiters can have now. Returns these waiters, for
 * answer_waiters. Call with the lock held.
 */
static struct lock_waiter *serve_waiters(struct ipcfs_object *object)
{
	struct lock_waiter *waiter, *next, *served = NULL;

	DL_FOREACH_SAFE (locks.waiting, waiter, next) {
		if (waiter->object != object)
			continue;
		waiter->result = take(object, &waiter->wanted);
		if (waiter->result == -EAGAIN)
			continue;
		DL_DELETE(locks.waiting, waiter);
		waiter->waits = false;
		DL_APPEND(served, waiter);
	}
	return served;
}

/* Answers a waiter that is in no list, and frees it. */
static void answer_waiter(struct lock_waiter *waiter)
{
	ipcfs_quota_waited(waiter->fs->quota, waiter->uid);
	ipcfs_quota_release(waiter->fs->quota, waiter->uid, WAITER_BYTES);
	ipcfs_reply_error(waiter->req, waiter->result);
	free(waiter);
}

/* Answers waiters that left the list. Call without the lock. */
static void answer_waiters(struct lock_waiter *served)
{
	struct lock_waiter *waiter, *next;

	DL_FOREACH_SAFE (served, waiter, next) {
		fuse_req_interrupt_func(waiter->req, NULL, NULL); /* waits for on_interrupt */
		answer_waiter(waiter);
	}
}

/*
 * Ends a wait, as the kernel sent INTERRUPT. For fuse_req_interrupt_func. A request that is not yet
 * in the list is left to wait_for_lock: fuse_req_interrupt_func itself may be calling, and uses the
 * request afterwards.
 */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct lock_waiter *waiter = data;
	bool waits;

	(void)req;
	pthread_mutex_lock(&locks.lock);
	waits = waiter->waits;
	if (waits)
		DL_DELETE(locks.waiting, waiter);
	waiter->waits = false;
	waiter->interrupted = !waits;
	pthread_mutex_unlock(&locks.lock);
	if (!waits)
		return;
	waiter->result = -EINTR;
	answer_waiter(waiter);
}

/*
 * Counts one more waiter.
 * -EAGAIN: max_waiters is reached.
 * -ENOMEM: also if max_bytes is reached.
 */
static int count_waiter(struct ipcfs_quota *quota, uid_t uid)
{
	int err = ipcfs_quota_wait(quota, uid);

	if (err)
		return err;
	err = ipcfs_quota_charge(quota, uid, WAITER_BYTES);
	if (err)
		ipcfs_quota_waited(quota, uid);
	return err;
}

/* Takes a lock, or has the request wait for it. Answers the request, now or later. */
static void wait_for_lock(fuse_req_t req, struct ipcfs_object *object,
			  const struct ipcfs_lock *wanted)
{
	struct lock_waiter *waiter = malloc(sizeof(*waiter));
	uid_t uid = fuse_req_ctx(req)->uid;
	int err = waiter ? count_waiter(ipcfs_of(req)->quota, uid) : -ENOMEM;
	bool waits;

	if (err) {
		free(waiter);
		ipcfs_reply_error(req, err == -EAGAIN ? -ENOLCK : err);
		return;
	}
	*waiter = (struct lock_waiter){
		.req = req, .fs = ipcfs_of(req), .object = object, .wanted = *wanted, .uid = uid
	};
	fuse_req_interrupt_func(req, on_interrupt, waiter);
	(void)ipcfs_fault("lock.parking");
	pthread_mutex_lock(&locks.lock);
	waiter->result = take(object, wanted);
	if (waiter->result == -EAGAIN && locks.stopping)
		waiter->result = -ENOTCONN;
	else if (waiter->result == -EAGAIN && waiter->interrupted)
		waiter->result = -EINTR;
	waits = waiter->result == -EAGAIN;
	waiter->waits = waits;
	if (waits)
		DL_APPEND(locks.waiting, waiter);
	pthread_mutex_unlock(&locks.lock);
	if (waits)
		return;
	fuse_req_interrupt_func(req, NULL, NULL);
	answer_waiter(waiter);
}

/* Answers F_GETLK: a lock of another owner that is in the way, or F_UNLCK. */
static void test(fuse_req_t req, struct ipcfs_object *object, const struct ipcfs_lock *wanted)
{
	struct flock answer = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	const struct ipcfs_lock *other;

	pthread_mutex_lock(&locks.lock);
	other = ipcfs_lock_conflict(object->segment.locks, wanted);
	if (other) {
		answer.l_type = other->exclusive ? F_WRLCK : F_RDLCK;
		answer.l_start = other->start;
		answer.l_len = other->end == IPCFS_LOCK_END ? 0 : other->end - other->start + 1;
		answer.l_pid = other->pid;
	}
	pthread_mutex_unlock(&locks.lock);
	fuse_reply_lock(req, &answer);
}

/* Counts for the opener all locks that the open file can have. -ENOMEM: max_bytes is reached. */
static int charge_locks(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	int err = 0;

	pthread_mutex_lock(&file->lock);
	if (!file->segment.locks) {
		file->segment.locks = true;
		err = ipcfs_file_charge(fs, file);
		file->segment.locks = !err;
		ipcfs_file_save(fs, file);
	}
	pthread_mutex_unlock(&file->lock);
	return err;
}

void ipcfs_segment_lock(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_lock *wanted,
			enum ipcfs_lock_request request)
{
	struct ipcfs_object *object = ipcfs_file_object(ipcfs_of(req), file);
	struct lock_waiter *served;
	int err = 0;

	if (request != IPCFS_LOCK_DROP)
		err = ipcfs_file_check(ipcfs_of(req), file,
				       file->reads ? IPCFS_RECEIVE : IPCFS_SEND,
				       fuse_req_ctx(req)->pid);
	if (!err && request == IPCFS_LOCK_TEST) {
		test(req, object, wanted);
		return;
	}
	if (!err && request != IPCFS_LOCK_DROP)
		err = charge_locks(ipcfs_of(req), file);
	pthread_mutex_lock(&locks.lock);
	/* flock(2) gives back the lock that it converts, also if it does not get the other */
	if (!err && (request == IPCFS_LOCK_DROP || wanted->flock))
		err = ipcfs_lock_drop(&object->segment.locks, wanted);
	if (!err && request != IPCFS_LOCK_DROP)
		err = take(object, wanted);
	served = serve_waiters(object);
	pthread_mutex_unlock(&locks.lock);
	answer_waiters(served);
	if (err == -EAGAIN && request == IPCFS_LOCK_WAIT)
		wait_for_lock(req, object, wanted);
	else
		ipcfs_reply_error(req, err);
}

void ipcfs_segment_flush(fuse_req_t req, struct ipcfs_file *file, uint64_t owner)
{
	struct ipcfs_object *object = ipcfs_file_object(ipcfs_of(req), file);
	struct lock_waiter *served;

	pthread_mutex_lock(&locks.lock);
	ipcfs_lock_drop_owner(&object->segment.locks, owner);
	served = serve_waiters(object);
	pthread_mutex_unlock(&locks.lock);
	answer_waiters(served);
	ipcfs_reply_error(req, 0);
}

void ipcfs_segment_unlock(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct lock_waiter *served;

	pthread_mutex_lock(&locks.lock);
	ipcfs_lock_drop_file(&object->segment.locks, file->number);
	served = serve_waiters(object);
	pthread_mutex_unlock(&locks.lock);
	answer_waiters(served);
}

/* Takes the waiters for objects of a space off the list, for answer_waiters. NULL: all waiters. */
static struct lock_waiter *cut_waiters(const struct ipcfs_space *space, int result)
{
	struct lock_waiter *waiter, *next, *cut = NULL;

	DL_FOREACH_SAFE (locks.waiting, waiter, next) {
		if (space && waiter->object->space != space)
			continue;
		DL_DELETE(locks.waiting, waiter);
		waiter->waits = false;
		waiter->result = result;
		DL_APPEND(cut, waiter);
	}
	return cut;
}

void ipcfs_segment_locks_space_ended(const struct ipcfs_space *space)
{
	struct lock_waiter *cut;

	pthread_mutex_lock(&locks.lock);
	cut = cut_waiters(space, -EIDRM);
	pthread_mutex_unlock(&locks.lock);
	answer_waiters(cut);
}

void ipcfs_segment_locks_stop(void)
{
	struct lock_waiter *cut;

	pthread_mutex_lock(&locks.lock);
	locks.stopping = true;
	cut = cut_waiters(NULL, -ENOTCONN);
	pthread_mutex_unlock(&locks.lock);
	answer_waiters(cut);
}
