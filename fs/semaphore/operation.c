/* SPDX-License-Identifier: MIT */
#include "fs/semaphore/operation.h"

#include <errno.h>

#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/request/file_check.h"
#include "fs/wait/waits.h"

/* Returns the operations of the waiter, and how many there are in *count. */
static struct ipcfs_semaphore_op *operations_of(const struct ipcfs_semaphore_waiter *waiter,
						size_t *count)
{
	*count = waiter->ops.size / sizeof(struct ipcfs_semaphore_op);
	return (void *)waiter->ops.data;
}

/* Returns whether all operations wait for 0, which takes permission to read and not to write. */
static bool only_waits_for_zero(const struct ipcfs_semaphore_waiter *waiter)
{
	size_t count;
	const struct ipcfs_semaphore_op *ops = operations_of(waiter, &count);

	for (size_t i = 0; i < count; i++)
		if (ops[i].delta != 0)
			return false;
	return true;
}

/* The arguments of operate; for ipcfs_space_run. */
struct operation {
	const struct ipcfs_semaphore_waiter *waiter;
	unsigned flags;
};

static int operate(void *arg)
{
	const struct operation *operation = arg;
	const struct ipcfs_waiter *base = &operation->waiter->base;
	size_t count;
	const struct ipcfs_semaphore_op *ops = operations_of(operation->waiter, &count);

	return base->object->class->semaphore->operate(base->handle, ops, count, operation->flags);
}

/*
 * Waits until the operations could be done, and does none: does them and their opposites at once.
 * Errors of operate.
 */
static int wait_for(const struct operation *operation)
{
	const struct ipcfs_waiter *base = &operation->waiter->base;
	struct ipcfs_text both = { 0 };
	size_t count;
	const struct ipcfs_semaphore_op *ops = operations_of(operation->waiter, &count);
	int err = ipcfs_text_add(&both, ops, count * sizeof(*ops));

	for (size_t i = count; i-- > 0 && !err;) {
		const struct ipcfs_semaphore_op opposite = { .number = ops[i].number,
							     .delta = -ops[i].delta };

		if (ops[i].delta)
			err = ipcfs_text_add(&both, &opposite, sizeof(opposite));
	}
	if (!err)
		err = base->object->class->semaphore->operate(base->handle, (const void *)both.data,
							      both.size / sizeof(*ops),
							      operation->flags);
	ipcfs_text_free(&both);
	return err;
}

/* The same, noting it as a call. -EIO: a worker has died in it. */
static int operate_once(struct operation *operation, enum ipcfs_call call)
{
	int err = -EIO;

	if (!(operation->flags & IPCFS_SEMAPHORE_WAIT))
		ipcfs_effects_calling(false);
	if (call != IPCFS_CALL_PERHAPS)
		err = operate(operation);
	ipcfs_effects_called(!err);
	return err;
}

/*
 * The same, unless a worker before has done it. The kernel does the operations of a caller while it
 * sleeps, long before the caller could note it. So it sleeps until they can be done, and then does
 * them without waiting.
 */
static int operate_noted(struct operation *operation)
{
	bool sets = operation->waiter->base.object->class->semaphore->sets;
	bool sleeps = operation->flags & IPCFS_SEMAPHORE_WAIT && sets && ipcfs_effects_is_noted();
	enum ipcfs_call call = ipcfs_effects_call();
	int err = sleeps && call == IPCFS_CALL_NEW ? wait_for(operation) : 0;

	if (call == IPCFS_CALL_DONE)
		return 0;
	if (err && err != -E2BIG) /* with their opposites they are too many */
		return err;
	if (sleeps && !err)
		operation->flags &= ~(unsigned)IPCFS_SEMAPHORE_WAIT;
	err = operate_once(operation, call);
	return sleeps && err == -EAGAIN ? -EINTR : err; /* another caller was faster */
}

ssize_t ipcfs_operation_attempt(struct ipcfs_waiter *base, bool wait)
{
	const struct ipcfs_semaphore_waiter *waiter = ipcfs_semaphore_waiter(base);
	enum ipcfs_direction direction = only_waits_for_zero(waiter) ? IPCFS_RECEIVE : IPCFS_SEND;
	struct operation operation = { waiter, wait ? IPCFS_SEMAPHORE_WAIT : 0 };
	int err;

	err = ipcfs_file_check(base->fs, base->file, direction, base->tid);
	if (err)
		return err;
	if (!waiter->hold)
		return operate_noted(&operation);
	operation.flags |= IPCFS_SEMAPHORE_UNDO;
	return ipcfs_space_run(base->object->space, operate, &operation);
}

struct ipcfs_semaphore_waiter ipcfs_operation_begin(fuse_req_t req, struct ipcfs_file *file,
						    const struct ipcfs_waiter_ops *ops)
{
	struct ipcfs_semaphore_waiter waiter = {
		.base = ipcfs_waiter_of(req, file, IPCFS_SEND, ops),
	};

	waiter.base.ignores_default_signals = true;
	/* those who enter a monitor are served in order, the others as the kernel chooses */
	waiter.base.unordered = file->key.kind != IPCFS_NODE_MONITOR;
	waiter.base.selector = file->key.selector;
	return waiter;
}

/* Returns whether others were parked before, so that this waiter must not be tried now. */
static bool has_predecessors(const struct ipcfs_waiter *base)
{
	return !base->unordered && ipcfs_waits_is_queued(base->fs->waits, base->object,
							 base->direction, base->selector);
}

void ipcfs_operation_run(struct ipcfs_semaphore_waiter *waiter, bool nonblock)
{
	struct ipcfs_waiter *base = &waiter->base;
	ssize_t result = has_predecessors(base) ? -EAGAIN : base->ops->attempt(base, false);

	if (result == -EAGAIN && !nonblock) {
		base->kept = waiter->ops.capacity;
		result = ipcfs_waits_park(base->fs->waits, base);
		if (!result)
			return;
	}
	base->ops->answer(base, result);
}

bool ipcfs_operation_is_interrupted(const struct ipcfs_semaphore_waiter *waiter)
{
	const struct ipcfs_waiter *base = &waiter->base;

	/* INTERRUPT alone says little: an ignored signal may have caused it, long ago. */
	return base->since && fuse_req_interrupted(base->req) &&
	       ipcfs_caller_interrupted(base->tid);
}

bool ipcfs_operation_revert(struct ipcfs_semaphore_waiter *waiter)
{
	const struct ipcfs_waiter *base = &waiter->base;
	size_t count;
	struct ipcfs_semaphore_op *ops = operations_of(waiter, &count);

	if (!ipcfs_operation_is_interrupted(waiter))
		return false;
	for (size_t i = 0; i < count; i++)
		if (ops[i].delta >= 0)
			return false;
	for (size_t i = 0; i < count; i++)
		ops[i].delta = -ops[i].delta;
	return !base->object->class->semaphore->operate(base->handle, ops, count, 0);
}
