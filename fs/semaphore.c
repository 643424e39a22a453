/* SPDX-License-Identifier: MIT */
#include "semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "access.h"
#include "caller.h"
#include "intent.h"
#include "ops.h"
#include "reply.h"

#define VALUES_MAX (1024 * 1024) /* bytes of one line of `values` */

/* Waiting for 0 only looks, so it asks for the right to read. */
static enum ipcfs_direction asks_for(const struct ipcfs_node_key *key)
{
	return key->kind == IPCFS_NODE_ZERO ? IPCFS_RECEIVE : IPCFS_SEND;
}

static int check_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	const struct ipcfs_node_key *key = &open->node->key;
	int err = 0;

	if (open->reads)
		err = ipcfs_open_check(fs, open, IPCFS_RECEIVE, open->opener.tid);
	if (err || !open->writes)
		return err;
	err = ipcfs_open_check(fs, open, asks_for(key), open->opener.tid);
	if (err == -EACCES && key->kind == IPCFS_NODE_OP) /* perhaps they only wait for zeros */
		err = ipcfs_open_check(fs, open, IPCFS_RECEIVE, open->opener.tid);
	return err;
}

int ipcfs_semaphore_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	int handle, err;

	err = ipcfs_object_open(&fs->objects, open->object, IPCFS_SEND, &handle);
	if (!err) {
		open->handle[IPCFS_SEND] = open->handle[IPCFS_RECEIVE] = handle;
		err = check_open(fs, open);
		if (err)
			ipcfs_object_close(&fs->objects, open->object, IPCFS_SEND);
	}
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

void ipcfs_semaphore_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	if (open->hold)
		ipcfs_hold_release(open);
	ipcfs_object_close(&fs->objects, open->object, IPCFS_SEND);
}

/* One line with all values. */
static int values_text(const struct ipcfs_open *open, struct ipcfs_text *out)
{
	struct ipcfs_text values = { 0 };
	int err = open->object->class->semaphore->get_all(open->handle[IPCFS_SEND], &values);
	const uint32_t *value = (const void *)values.data;
	size_t count = values.size / sizeof(*value);

	for (size_t i = 0; !err && i < count; i++)
		err = ipcfs_text_printf(out, "%u%c", value[i], i + 1 < count ? ' ' : '\n');
	ipcfs_text_free(&values);
	return err;
}

int ipcfs_semaphore_text(const struct ipcfs_open *open, struct ipcfs_text *out)
{
	const struct ipcfs_node_key *key = &open->node->key;
	uint32_t value;
	int err;

	if (key->kind == IPCFS_NODE_VALUES || key->kind == IPCFS_NODE_OP)
		return values_text(open, out);
	err = open->object->class->semaphore->get(open->handle[IPCFS_SEND], (uint32_t)key->selector,
						  &value);
	return err ? err : ipcfs_text_printf(out, "%u\n", value);
}

static const struct ipcfs_semaphore_op *ops_of(const struct ipcfs_waiter *waiter, size_t *count)
{
	*count = waiter->data.size / sizeof(struct ipcfs_semaphore_op);
	return (const void *)waiter->data.data;
}

static bool only_looks(const struct ipcfs_waiter *waiter)
{
	size_t count;
	const struct ipcfs_semaphore_op *ops = ops_of(waiter, &count);

	for (size_t i = 0; i < count; i++)
		if (ops[i].delta != 0)
			return false;
	return true;
}

struct operation {
	const struct ipcfs_waiter *waiter;
	unsigned flags;
};

static int operate(void *arg)
{
	const struct operation *operation = arg;
	const struct ipcfs_waiter *waiter = operation->waiter;
	size_t count;
	const struct ipcfs_semaphore_op *ops = ops_of(waiter, &count);

	return waiter->object->class->semaphore->operate(waiter->handle, ops, count,
							 operation->flags);
}

static ssize_t attempt(struct ipcfs_waiter *waiter, bool wait)
{
	enum ipcfs_direction direction = only_looks(waiter) ? IPCFS_RECEIVE : IPCFS_SEND;
	struct operation operation = { waiter, wait ? IPCFS_SEMAPHORE_WAIT : 0 };
	int err;

	err = ipcfs_open_check(waiter->fs, waiter->open, direction, waiter->tid);
	if (err)
		return err;
	if (!waiter->hold)
		return operate(&operation);
	operation.flags |= IPCFS_SEMAPHORE_UNDO;
	return ipcfs_space_run(waiter->object->space, operate, &operation);
}

void ipcfs_semaphore_start(struct ipcfs_waiter *waiter, fuse_req_t req, struct ipcfs_open *open)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	*waiter = (struct ipcfs_waiter){
		.fs = ipcfs_of(req),
		.req = req,
		.open = open,
		.object = open->object,
		.direction = IPCFS_SEND,
		.handle = open->handle[IPCFS_SEND],
		.patient = true,
		.counted = true,
		.alone = true,
		.uid = context->uid,
		.tid = context->pid,
		.attempt = attempt,
	};
}

void ipcfs_semaphore_go(struct ipcfs_waiter *waiter, bool nonblock)
{
	ssize_t result = attempt(waiter, false);

	if (result == -EAGAIN && !nonblock) {
		result = ipcfs_room_park(waiter->fs->room, waiter);
		if (!result)
			return;
	}
	waiter->answer(waiter, result);
}

/*
 * What somebody took who was killed before he could be told would be lost to all. Only where nothing but
 * taking was done: that can always be undone.
 */
static bool take_back(struct ipcfs_waiter *waiter)
{
	struct ipcfs_semaphore_op *ops = (void *)waiter->data.data;
	size_t count = waiter->data.size / sizeof(*ops);

	/* a harmless signal may have come long ago */
	if (!waiter->since || !fuse_req_interrupted(waiter->req) ||
	    !ipcfs_caller_interrupted(waiter->tid))
		return false;
	for (size_t i = 0; i < count; i++)
		if (ops[i].delta >= 0)
			return false;
	for (size_t i = 0; i < count; i++)
		ops[i].delta = -ops[i].delta;
	return !waiter->object->class->semaphore->operate(waiter->handle, ops, count, 0);
}

static void answer_write(struct ipcfs_waiter *waiter, ssize_t result)
{
	if (!result && take_back(waiter))
		result = -EINTR;
	if (result)
		ipcfs_reply_error(waiter->req, (int)result);
	else
		ipcfs_reply_count(waiter->req, waiter->size);
	ipcfs_text_free(&waiter->data);
}

/* What is to be done, as the file's name and what is written say. */
static int read_intent(const struct ipcfs_open *open, const char *bytes, size_t size,
		       struct ipcfs_text *ops)
{
	const struct ipcfs_node_key *key = &open->node->key;
	struct ipcfs_semaphore_op op = { .number = (uint32_t)key->selector };
	uint32_t amount;
	int err;

	if (key->kind == IPCFS_NODE_OP)
		return ipcfs_intent_ops(bytes, size, ops);
	err = ipcfs_intent_amount(bytes, size, open->object->class->semaphore->value_max, &amount);
	if (err)
		return err;
	if (key->kind == IPCFS_NODE_POST)
		op.delta = (int32_t)amount;
	else if (key->kind != IPCFS_NODE_ZERO)
		op.delta = -(int32_t)amount;
	return ipcfs_text_add(ops, &op, sizeof(op));
}

static void write_operation(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			    bool nonblock)
{
	struct ipcfs_waiter waiter;
	int err;

	ipcfs_semaphore_start(&waiter, req, open);
	waiter.answer = answer_write;
	waiter.size = size;
	err = read_intent(open, bytes, size, &waiter.data);
	if (err)
		answer_write(&waiter, err);
	else
		ipcfs_semaphore_go(&waiter, nonblock);
}

static int write_value(struct ipcfs_filesystem *fs, struct ipcfs_open *open, pid_t tid,
		       const char *bytes, size_t size)
{
	const struct ipcfs_semaphore_ops *semaphore = open->object->class->semaphore;
	uint32_t value;
	int err = ipcfs_open_check(fs, open, IPCFS_SEND, tid);

	if (!err)
		err = ipcfs_intent_value(bytes, size, semaphore->value_max, &value);
	if (!err)
		err = semaphore->set(open->handle[IPCFS_SEND], (uint32_t)open->node->key.selector,
				     value);
	return err;
}

static int set_all(struct ipcfs_filesystem *fs, struct ipcfs_open *open, pid_t tid,
		   const char *bytes, size_t size)
{
	const struct ipcfs_semaphore_ops *semaphore = open->object->class->semaphore;
	struct ipcfs_text values = { 0 };
	int err = ipcfs_open_check(fs, open, IPCFS_SEND, tid);

	if (!err)
		err = ipcfs_intent_values(bytes, size, semaphore->value_max, &values);
	if (!err)
		err = semaphore->set_all(open->handle[IPCFS_SEND], (const void *)values.data,
					 values.size / sizeof(uint32_t));
	ipcfs_text_free(&values);
	return err;
}

/* Take what the owner has written so far, with `bytes` behind it. */
static int take_pending(struct ipcfs_open *open, uint64_t owner, const char *bytes, size_t size,
			struct ipcfs_text *line)
{
	struct ipcfs_pending *pending;
	int err;

	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, owner, false);
	if (pending) {
		*line = pending->text;
		pending->text = (struct ipcfs_text){ 0 };
		ipcfs_open_forget(open, owner);
	}
	err = ipcfs_text_add(line, bytes, size);
	pthread_mutex_unlock(&open->lock);
	return err;
}

static int keep_pending(struct ipcfs_open *open, uint64_t owner, struct ipcfs_text *line)
{
	struct ipcfs_pending *pending;

	if (line->size > VALUES_MAX)
		return -EINVAL;
	pthread_mutex_lock(&open->lock);
	pending = ipcfs_open_pending(open, owner, true);
	if (pending) {
		pending->text = *line;
		*line = (struct ipcfs_text){ 0 };
	}
	pthread_mutex_unlock(&open->lock);
	return pending ? 0 : -ENOMEM;
}

/* A set's values are more than shells write at a time: all up to the newline, or the close. */
static int write_values(struct ipcfs_filesystem *fs, struct ipcfs_open *open, pid_t tid,
			const char *bytes, size_t size, uint64_t owner)
{
	struct ipcfs_text line = { 0 };
	int err = take_pending(open, owner, bytes, size, &line);

	if (!err && size && bytes[size - 1] == '\n')
		err = set_all(fs, open, tid, line.data, line.size);
	else if (!err)
		err = keep_pending(open, owner, &line);
	ipcfs_text_free(&line);
	return err;
}

void ipcfs_semaphore_flush(fuse_req_t req, struct ipcfs_open *open, uint64_t owner)
{
	struct ipcfs_text line = { 0 };
	int err = take_pending(open, owner, NULL, 0, &line);

	if (!err && line.size)
		err = set_all(ipcfs_of(req), open, fuse_req_ctx(req)->pid, line.data, line.size);
	ipcfs_text_free(&line);
	ipcfs_reply_error(req, err);
}

void ipcfs_semaphore_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			   int flags, uint64_t owner)
{
	pid_t tid = fuse_req_ctx(req)->pid;
	int err;

	switch (open->node->key.kind) {
	case IPCFS_NODE_VALUE:
		err = write_value(ipcfs_of(req), open, tid, bytes, size);
		break;
	case IPCFS_NODE_VALUES:
		err = write_values(ipcfs_of(req), open, tid, bytes, size, owner);
		break;
	case IPCFS_NODE_HOLD:
	case IPCFS_NODE_TRYHOLD:
		err = 0; /* it is held already; `echo > hold` holds it for a moment */
		break;
	default:
		write_operation(req, open, bytes, size,
				flags & O_NONBLOCK || open->node->key.kind == IPCFS_NODE_TRYWAIT);
		return;
	}
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_count(req, size);
}

struct waiter_lister {
	struct ipcfs_text *out;
	unsigned count;
};

static const char *waits_for(const struct ipcfs_waiter *waiter)
{
	switch (waiter->open->node->key.kind) {
	case IPCFS_NODE_HOLD:
		return "hold";
	case IPCFS_NODE_ZERO:
		return "zero";
	case IPCFS_NODE_OP:
		return "op";
	default:
		return "wait";
	}
}

static int add_waiter(void *arg, const struct ipcfs_waiter *waiter)
{
	struct waiter_lister *lister = arg;
	unsigned n = ++lister->count;

	return ipcfs_text_printf(lister->out,
				 "waiter_%u_pid=%d\nwaiter_%u_uid=%u\nwaiter_%u_since=%lld\n"
				 "waiter_%u_for=%s\nwaiter_%u_semaphore=%ld\n",
				 n, waiter->tid, n, waiter->uid, n, (long long)waiter->since, n,
				 waits_for(waiter), n, waiter->open->node->key.selector);
}

int ipcfs_semaphore_status(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct waiter_lister lister = { .out = out };
	int handle, err;

	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);
	if (err == -EACCES)
		return 0; /* we may not look at it ourselves */
	if (err)
		return err;
	err = ipcfs_op_allowed(req, object, IPCFS_WANT_READ, NULL);
	if (!err)
		err = object->class->semaphore->describe(handle, out);
	if (err == -EACCES)
		err = 0;
	if (!err)
		err = ipcfs_hold_status(object, handle, out);
	if (!err)
		err = ipcfs_room_waiters(fs->room, object, add_waiter, &lister);
	if (!err)
		err = ipcfs_text_printf(out, "waiters=%u\n", lister.count);
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	return err == -ESTALE || err == -EIDRM ? -ENOENT : err;
}
