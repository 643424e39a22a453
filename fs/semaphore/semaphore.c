/* SPDX-License-Identifier: MIT */
#include "fs/semaphore/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "backends/contract/fault.h"
#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/request/sample.h"
#include "fs/semaphore/hold.h"
#include "fs/semaphore/monitor.h"
#include "fs/semaphore/operation.h"
#include "fs/semaphore/semaphore_parse.h"
#include "fs/wait/waits.h"

#define VALUES_MAX (1024 * 1024) /* bytes of an unfinished line of `values` */

static const struct ipcfs_semaphore_ops *ops_of(const struct ipcfs_filesystem *fs,
						const struct ipcfs_file *file)
{
	return ipcfs_file_object(fs, file)->class->semaphore;
}

/*
 * Returns the direction that a write needs. To wait for 0 takes permission to read, not to write.
 */
static enum ipcfs_direction needed_direction(const struct ipcfs_file *file)
{
	return file->key.kind == IPCFS_NODE_ZERO ? IPCFS_RECEIVE : IPCFS_SEND;
}

static int check_open(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	int err = 0;

	if (file->reads)
		err = ipcfs_file_check(fs, file, IPCFS_RECEIVE, file->opener.tid);
	if (err || !file->writes)
		return err;
	err = ipcfs_file_check(fs, file, needed_direction(file), file->opener.tid);
	if (err == -EACCES && file->key.kind == IPCFS_NODE_OP) /* the opener may wait for 0 */
		err = ipcfs_file_check(fs, file, IPCFS_RECEIVE, file->opener.tid);
	return err;
}

static int semaphore_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	int handle, err;

	(void)flags;
	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);
	if (!err) {
		file->handle[IPCFS_SEND] = file->handle[IPCFS_RECEIVE] = handle;
		err = check_open(fs, file);
		if (err)
			ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	}
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

/*
 * For struct ipcfs_file_ops. A hold is put into the file later (ipcfs_holds_restore), unless it has
 * ended with its worker: in the namespace of a target the worker has adjustments of its own.
 */
static int semaphore_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	int handle, err;

	if (file->writes && ipcfs_file_has(file, IPCFS_FILE_OPEN_TAKES) && fs->target &&
	    ipcfs_file_object(fs, file)->class->bound)
		return -ESTALE;
	err = ipcfs_object_open(&fs->objects, ipcfs_file_object(fs, file), IPCFS_SEND, &handle);
	if (!err)
		file->handle[IPCFS_SEND] = file->handle[IPCFS_RECEIVE] = handle;
	return err;
}

/* For struct ipcfs_file_ops. */
static unsigned semaphore_fopen_flags(struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	(void)fs;
	return file->writes && ipcfs_file_has(file, IPCFS_FILE_OPEN_TAKES)
		       ? ipcfs_hold_open_flags(file)
		       : 0;
}

static void semaphore_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);

	/* a holder that was killed can't notify those who wait in its monitor any more */
	if (ipcfs_hold_release(fs, file))
		ipcfs_monitor_rouse_all(fs, object, file->key.selector);
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
}

/* Appends one line with all values of a set. */
static int values_text(const struct ipcfs_semaphore_ops *semaphore, int handle,
		       struct ipcfs_text *out)
{
	struct ipcfs_text values = { 0 };
	int err = semaphore->get_all(handle, &values);
	const uint32_t *value = (const void *)values.data;
	size_t count = values.size / sizeof(*value);

	for (size_t i = 0; !err && i < count; i++)
		err = ipcfs_text_printf(out, "%u%c", value[i], i + 1 < count ? ' ' : '\n');
	ipcfs_text_free(&values);
	return err;
}

/* Appends the text that a read of the file shows. For ipcfs_sample_read. */
static int read_text(fuse_req_t req, struct ipcfs_file *file, struct ipcfs_text *out)
{
	const struct ipcfs_semaphore_ops *semaphore = ops_of(ipcfs_of(req), file);
	int handle = file->handle[IPCFS_SEND], err;
	uint32_t value;

	if (file->key.kind == IPCFS_NODE_VALUES || file->key.kind == IPCFS_NODE_OP)
		return values_text(semaphore, handle, out);
	err = semaphore->get(handle, (uint32_t)file->key.selector, &value);
	return err ? err : ipcfs_text_printf(out, "%u\n", value);
}

static void semaphore_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	int err = ipcfs_file_check(ipcfs_of(req), file, IPCFS_RECEIVE, fuse_req_ctx(req)->pid);

	if (err)
		ipcfs_reply_error(req, err == -ESTALE ? -EIDRM : err);
	else
		ipcfs_sample_read(req, file, io, read_text);
}

static void answer_write(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_semaphore_waiter *waiter = ipcfs_semaphore_waiter(base);

	(void)ipcfs_fault("operation.answer");
	if (!result && ipcfs_operation_revert(waiter))
		result = -EINTR;
	ipcfs_reply_write(base->req, (int)result, waiter->size);
	ipcfs_text_free(&waiter->ops);
}

static const struct ipcfs_waiter_ops write_ops = {
	.size = sizeof(struct ipcfs_semaphore_waiter),
	.attempt = ipcfs_operation_attempt,
	.answer = answer_write,
};

/*
 * Appends to *ops the operations that a write to this file asks for. Errors as the functions of
 * semaphore_parse.h.
 */
static int parse_operations(const struct ipcfs_semaphore_ops *semaphore,
			    const struct ipcfs_file *file, const struct ipcfs_io *io,
			    struct ipcfs_text *ops)
{
	struct ipcfs_semaphore_op op = { .number = (uint32_t)file->key.selector };
	uint32_t amount;
	int err;

	if (file->key.kind == IPCFS_NODE_OP)
		return ipcfs_semaphore_parse_ops(io->bytes, io->size, ops);
	err = ipcfs_semaphore_parse_amount(io->bytes, io->size, semaphore->value_max, &amount);
	if (err)
		return err;
	if (file->key.kind == IPCFS_NODE_POST)
		op.delta = (int32_t)amount;
	else if (file->key.kind != IPCFS_NODE_ZERO)
		op.delta = -(int32_t)amount;
	return ipcfs_text_add(ops, &op, sizeof(op));
}

static void write_operation(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io,
			    bool nonblock)
{
	struct ipcfs_semaphore_waiter waiter = ipcfs_operation_begin(req, file, &write_ops);
	int err;

	waiter.size = io->size;
	err = parse_operations(waiter.base.object->class->semaphore, file, io, &waiter.ops);
	if (err)
		answer_write(&waiter.base, err);
	else
		ipcfs_operation_run(&waiter, nonblock);
}

static int write_value(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid,
		       const struct ipcfs_io *io)
{
	const struct ipcfs_semaphore_ops *semaphore = ops_of(fs, file);
	uint32_t value;
	int err = ipcfs_file_check(fs, file, IPCFS_SEND, tid);

	if (!err)
		err = ipcfs_semaphore_parse_value(io->bytes, io->size, semaphore->value_max,
						  &value);
	if (!err)
		err = semaphore->set(file->handle[IPCFS_SEND], (uint32_t)file->key.selector, value);
	return err;
}

/* Sets all values of a set to the numbers in this line. */
static int set_all(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid,
		   const struct ipcfs_text *line)
{
	const struct ipcfs_semaphore_ops *semaphore = ops_of(fs, file);
	struct ipcfs_text values = { 0 };
	int err = ipcfs_file_check(fs, file, IPCFS_SEND, tid);

	if (!err)
		err = ipcfs_semaphore_parse_values(line->data, line->size, semaphore->value_max,
						   &values);
	if (!err)
		err = semaphore->set_all(file->handle[IPCFS_SEND], (const void *)values.data,
					 values.size / sizeof(uint32_t));
	ipcfs_text_free(&values);
	return err;
}

/*
 * Moves to *line what the owner wrote before, and appends the bytes of this write.
 * -ENOMEM
 */
static int take_line(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     const struct ipcfs_io *io, struct ipcfs_text *line)
{
	struct ipcfs_pending *pending;
	int err;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(fs, file, io->owner, false);
	if (pending) {
		*line = pending->text;
		pending->text = (struct ipcfs_text){ 0 };
		ipcfs_file_drop_pending(fs, file, io->owner);
		(void)ipcfs_effects_act();
		ipcfs_file_save(fs, file);
	}
	err = ipcfs_text_add(line, io->bytes, io->size);
	pthread_mutex_unlock(&file->lock);
	return err;
}

/*
 * Keeps the bytes of this write for the owner's next write or close.
 * -EINVAL: the line is longer than VALUES_MAX; it is dropped.
 * -ENOMEM: also if max_bytes is reached.
 */
static int keep_line(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     const struct ipcfs_io *io)
{
	struct ipcfs_pending *pending;
	int err = -ENOMEM;

	pthread_mutex_lock(&file->lock);
	pending = ipcfs_file_pending(fs, file, io->owner, true);
	if (pending && pending->text.size + io->size > VALUES_MAX) {
		ipcfs_file_drop_pending(fs, file, io->owner);
		err = -EINVAL;
	} else if (pending) {
		err = ipcfs_pending_reserve(fs, file, pending, io->size);
		if (!err)
			err = ipcfs_text_add(&pending->text, io->bytes, io->size);
	}
	ipcfs_file_done(fs, file, err ? err : (ssize_t)io->size, NULL);
	pthread_mutex_unlock(&file->lock);
	return err;
}

/*
 * Sets all values of a set once a write ends in a newline. Keeps an unfinished line until then, or
 * until the close: a shell may need several writes for the values of a large set.
 */
static int write_values(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid,
			const struct ipcfs_io *io)
{
	struct ipcfs_text line = { 0 };
	int err;

	if (!io->size || io->bytes[io->size - 1] != '\n')
		return keep_line(fs, file, io);
	err = take_line(fs, file, io, &line);
	if (!err)
		err = set_all(fs, file, tid, &line);
	ipcfs_text_free(&line);
	return err;
}

/* Sets the values of a line that a process left unfinished. */
static int flush_values(fuse_req_t req, struct ipcfs_file *file, uint64_t owner)
{
	const struct ipcfs_io nothing = { .owner = owner };
	struct ipcfs_text line = { 0 };
	int err = take_line(ipcfs_of(req), file, &nothing, &line);

	if (!err && line.size)
		err = set_all(ipcfs_of(req), file, fuse_req_ctx(req)->pid, &line);
	ipcfs_text_free(&line);
	return err;
}

static void semaphore_flush(fuse_req_t req, struct ipcfs_file *file, uint64_t owner)
{
	int err = 0;

	if (file->key.kind == IPCFS_NODE_MONITOR)
		ipcfs_hold_flush(ipcfs_of(req), file, fuse_req_ctx(req)->pid);
	else
		err = flush_values(req, file, owner);
	ipcfs_reply_error(req, err);
}

static void semaphore_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	pid_t tid = fuse_req_ctx(req)->pid;
	int err;

	switch (file->key.kind) {
	case IPCFS_NODE_VALUE:
		err = write_value(ipcfs_of(req), file, tid, io);
		break;
	case IPCFS_NODE_VALUES:
		err = write_values(ipcfs_of(req), file, tid, io);
		break;
	case IPCFS_NODE_HOLD:
	case IPCFS_NODE_TRYHOLD:
		err = 0; /* the open took the hold: `echo > hold` holds for a moment */
		break;
	case IPCFS_NODE_MONITOR:
		ipcfs_monitor_write(req, file, io);
		return;
	default:
		write_operation(req, file, io,
				io->flags & O_NONBLOCK || file->key.kind == IPCFS_NODE_TRYWAIT);
		return;
	}
	ipcfs_reply_write(req, err, io->size);
}

const struct ipcfs_file_ops ipcfs_semaphore_file_ops = {
	.open = semaphore_open,
	.reopen = semaphore_reopen,
	.take = ipcfs_hold_open,
	.fopen_flags = semaphore_fopen_flags,
	.read = semaphore_read,
	.write = semaphore_write,
	.flush = semaphore_flush,
	.release = semaphore_release,
};

struct waiter_lister {
	struct ipcfs_text *out;
	unsigned count;
	bool may_read; /* the reader of status may read the semaphore */
};

/* Returns the name of the file that the waiter waits on, for status. */
const char *const ipcfs_semaphore_waits[IPCFS_SEMAPHORE_WAITS] = {
	[IPCFS_WAITS_WAIT] = "wait",	   [IPCFS_WAITS_ZERO] = "zero", [IPCFS_WAITS_HOLD] = "hold",
	[IPCFS_WAITS_MONITOR] = "monitor", [IPCFS_WAITS_OP] = "op",
};

static enum ipcfs_semaphore_wait waits_for(const struct ipcfs_waiter *waiter)
{
	switch (waiter->file->key.kind) {
	case IPCFS_NODE_HOLD:
		return IPCFS_WAITS_HOLD;
	case IPCFS_NODE_MONITOR:
		return IPCFS_WAITS_MONITOR;
	case IPCFS_NODE_ZERO:
		return IPCFS_WAITS_ZERO;
	case IPCFS_NODE_OP:
		return IPCFS_WAITS_OP;
	default:
		return IPCFS_WAITS_WAIT;
	}
}

/* For ipcfs_waits_each. */
static int count_waiter(void *arg, const struct ipcfs_waiter *waiter)
{
	uint64_t *waiting = arg;

	waiting[waits_for(waiter)]++;
	return 0;
}

void ipcfs_semaphore_count_waiting(struct ipcfs_waits *waits, const struct ipcfs_object *object,
				   uint64_t waiting[IPCFS_SEMAPHORE_WAITS])
{
	if (object->waits.parked[IPCFS_RECEIVE] || object->waits.parked[IPCFS_SEND])
		(void)ipcfs_waits_each(waits, object, count_waiter, waiting); /* cannot fail */
}

static int add_waiter(void *arg, const struct ipcfs_waiter *waiter)
{
	struct waiter_lister *lister = arg;
	const char *condition = ipcfs_monitor_condition(waiter);
	unsigned n = ++lister->count;
	int err;

	err = ipcfs_text_printf(lister->out,
				"waiter_%u_pid=%d\nwaiter_%u_uid=%u\nwaiter_%u_since=%lld\n"
				"waiter_%u_for=%s\nwaiter_%u_semaphore=%" PRId64 "\n",
				n, waiter->tid, n, waiter->uid, n, (long long)waiter->since, n,
				ipcfs_semaphore_waits[waits_for(waiter)], n,
				waiter->file->key.selector);
	if (err || !condition || !lister->may_read)
		return err;
	return ipcfs_text_printf(lister->out, "waiter_%u_condition=%s\n", n, condition);
}

/*
 * Returns whether a signal ends the reader of status. Another signal does not end the request,
 * which is short. For semaphore->describe.
 */
static bool is_gone(void *arg)
{
	fuse_req_t req = arg;

	return fuse_req_interrupted(req) && ipcfs_caller_ends(fuse_req_ctx(req)->pid);
}

int ipcfs_semaphore_status(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct waiter_lister lister = { .out = out };
	int handle, err;

	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);
	if (err == -EACCES)
		return 0; /* the daemon itself may not open it */
	if (err)
		return err;
	err = ipcfs_judge(req, object, IPCFS_WANT_READ, NULL);
	lister.may_read = !err;
	if (!err)
		err = object->class->semaphore->describe(handle, is_gone, req, out);
	if (err == -EACCES)
		err = 0;
	if (!err)
		err = ipcfs_hold_status(object, handle, out);
	if (!err)
		err = ipcfs_waits_each(fs->waits, object, add_waiter, &lister);
	if (!err)
		err = ipcfs_text_printf(out, "waiters=%u\n", lister.count);
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	return err == -ESTALE || err == -EIDRM ? -ENOENT : err;
}
