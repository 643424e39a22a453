/* SPDX-License-Identifier: MIT */
/* Modelled in docs/dev/model/monitor.pml, with what hold.c does at the last close. */
#include "fs/semaphore/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/fault.h"
#include "fs/base/effects.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/semaphore/hold.h"
#include "fs/semaphore/operation.h"
#include "fs/semaphore/semaphore_parse.h"
#include "fs/wait/waits.h"

/* A `wait` or an `enter`. */
struct monitor_waiter {
	struct ipcfs_semaphore_waiter operation; /* at the start: it takes the hold */
	bool waits;				 /* the verb is `wait` */
	char condition[IPCFS_CONDITION_SIZE];	 /* of `wait` */
};

static const struct monitor_waiter *monitor_waiter(const struct ipcfs_waiter *waiter)
{
	return (const struct monitor_waiter *)(const void *)waiter;
}

/* Chooses the sleepers of a condition; `arg` is its name. For ipcfs_waits_rouse. */
static bool is_of_condition(const struct ipcfs_waiter *sleeper, const void *arg)
{
	return strcmp(monitor_waiter(sleeper)->condition, arg) == 0;
}

static bool is_any(const struct ipcfs_waiter *sleeper, const void *arg)
{
	(void)sleeper;
	(void)arg;
	return true;
}

static void notify(struct ipcfs_filesystem *fs, const struct ipcfs_file *file,
		   const char *condition, uint32_t count)
{
	ipcfs_waits_rouse(fs->waits, ipcfs_file_object(fs, file), IPCFS_SEND, file->key.selector,
			  count, is_of_condition, condition);
}

void ipcfs_monitor_rouse_all(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
			     long number)
{
	ipcfs_waits_rouse(fs->waits, object, IPCFS_SEND, number, UINT32_MAX, is_any, NULL);
}

/* Gives the file's hold back. The file's handle is open. */
static void leave(const struct ipcfs_waiter *base)
{
	ipcfs_hold_give_back(base->fs, base->object, base->handle, ipcfs_hold_detach(base->file),
			     false);
}

/* Answers a verb, which the next worker is not to do again. */
static void reply(struct ipcfs_filesystem *fs, fuse_req_t req, struct ipcfs_file *file, int err,
		  size_t size)
{
	pthread_mutex_lock(&file->lock);
	ipcfs_file_done(fs, file, err ? err : (ssize_t)size, NULL);
	pthread_mutex_unlock(&file->lock);
	ipcfs_reply_write(req, err, size);
}

/*
 * Answers a `wait` or an `enter`. A notification that a waiter got, and that its caller will not
 * see, goes to the next waiter.
 */
static void answer_entry(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_semaphore_waiter *waiter = ipcfs_semaphore_waiter(base);
	const struct monitor_waiter *monitor = monitor_waiter(base);
	bool notified = monitor->waits && !base->asleep && !base->roused_by;

	if (result)
		ipcfs_hold_free(base->fs, waiter->hold);
	else
		ipcfs_hold_taken(waiter);
	(void)ipcfs_fault("monitor.answer");
	if (!result && ipcfs_operation_is_interrupted(waiter)) {
		leave(base);
		result = -EINTR;
	}
	if (result && notified)
		notify(base->fs, base->file, monitor->condition, 1);
	ipcfs_text_free(&waiter->ops);
	reply(base->fs, base->req, base->file, (int)(result ? result : base->roused_by),
	      waiter->size);
}

static const struct ipcfs_waiter_ops entry_ops = {
	.size = sizeof(struct monitor_waiter),
	.attempt = ipcfs_hold_attempt,
	.answer = answer_entry,
};

const char *ipcfs_monitor_condition(const struct ipcfs_waiter *waiter)
{
	return waiter->ops == &entry_ops && waiter->asleep ? monitor_waiter(waiter)->condition
							   : NULL;
}

static void enter(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct monitor_waiter waiter = {
		.operation = ipcfs_operation_begin(req, file, &entry_ops),
	};
	int err = ipcfs_hold_is_attached(file) ? -EDEADLK : ipcfs_hold_prepare(&waiter.operation);

	waiter.operation.size = io->size;
	if (err)
		answer_entry(&waiter.operation.base, err);
	else
		ipcfs_operation_run(&waiter.operation, io->flags & O_NONBLOCK);
}

/*
 * Parks a sleeper, and then gives its file's hold back: a notification that comes as soon as others
 * can enter finds the sleeper. From the parking on the file may be closed at any time, and the hold
 * is given back by a handle of its own. After an error the caller still owns all.
 * The errors of ipcfs_object_open and ipcfs_waits_park.
 */
static int park(struct monitor_waiter *waiter, struct ipcfs_hold *hold)
{
	struct ipcfs_waiter *base = &waiter->operation.base;
	struct ipcfs_objects *objects = &base->fs->objects;
	struct ipcfs_object *object = base->object;
	int handle, err;

	err = ipcfs_object_open(objects, object, IPCFS_SEND, &handle);
	if (err)
		return err;
	ipcfs_object_ref(objects, object);
	base->kept = waiter->operation.ops.capacity;
	err = ipcfs_waits_park(base->fs->waits, base);
	(void)ipcfs_fault("monitor.parked");
	if (!err && hold)
		ipcfs_hold_give_back(base->fs, object, handle, hold, true);
	ipcfs_object_close(objects, object, IPCFS_SEND);
	ipcfs_object_unref(objects, object);
	return err;
}

/*
 * Waits for a notification. An error that comes before the wait leaves the caller inside. For the
 * next worker the wait has two calls: that it has begun, and that it was notified.
 */
static void wait_for(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io,
		     const struct ipcfs_monitor_request *request)
{
	struct monitor_waiter waiter = {
		.operation = ipcfs_operation_begin(req, file, &entry_ops),
		.waits = true,
	};
	struct ipcfs_hold *hold = ipcfs_hold_detach(file);
	bool begun = ipcfs_effects_call() == IPCFS_CALL_DONE; /* by a worker before */
	int err = io->flags & O_NONBLOCK ? -EAGAIN : 0;

	waiter.operation.base.asleep = !begun || ipcfs_effects_call() != IPCFS_CALL_DONE;
	if (!waiter.operation.base.asleep)
		waiter.operation.base.deadline = 0; /* that was of the sleep */
	waiter.operation.size = io->size;
	memcpy(waiter.condition, request->condition, sizeof(waiter.condition));
	if (!hold && !begun)
		err = -EPERM;
	if (!err)
		err = ipcfs_hold_prepare(&waiter.operation);
	if (!err && !begun)
		ipcfs_effects_called(true);
	if (!err)
		err = park(&waiter, hold);
	if (!err)
		return;
	ipcfs_hold_attach(file, hold);
	answer_entry(&waiter.operation.base, err);
}

/*
 * Does a verb that does not wait.
 * -EPERM: the file is not inside.
 */
static int act(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
	       const struct ipcfs_monitor_request *request)
{
	if (request->verb == IPCFS_MONITOR_LEAVE)
		return ipcfs_hold_leave(fs, file);
	if (!ipcfs_hold_is_attached(file))
		return -EPERM;
	if (ipcfs_effects_call() == IPCFS_CALL_DONE)
		return 0;
	notify(fs, file, request->condition,
	       request->verb == IPCFS_MONITOR_BROADCAST ? UINT32_MAX : request->count);
	ipcfs_effects_called(true);
	return 0;
}

void ipcfs_monitor_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct ipcfs_monitor_request request;
	int err = ipcfs_semaphore_parse_verb(io->bytes, io->size, &request);

	if (ipcfs_hold_was_taken(file)) {
		ipcfs_reply_write(req, 0, io->size);
		return;
	}

	/* to leave is always allowed, as a close is */
	if (!err && request.verb != IPCFS_MONITOR_LEAVE)
		err = ipcfs_file_check(ipcfs_of(req), file, IPCFS_SEND, fuse_req_ctx(req)->pid);
	if (!err && request.verb == IPCFS_MONITOR_WAIT)
		wait_for(req, file, io, &request);
	else if (!err && request.verb == IPCFS_MONITOR_ENTER)
		enter(req, file, io);
	else
		reply(ipcfs_of(req), req, file, err ? err : act(ipcfs_of(req), file, &request),
		      io->size);
}
