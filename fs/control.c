/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "access.h"
#include "caller.h"
#include "decision.h"
#include "make.h"
#include "number.h"
#include "ops.h"
#include "peek.h"
#include "reply.h"
#include "room.h"
#include "semaphore.h"
#include "spec.h"
#include "translate.h"

/* When it is opened, who opens it; then whoever reads. */
static int check_read(fuse_req_t req, struct ipcfs_open *open)
{
	const char *reason;
	int err = ipcfs_op_allowed(req, open->object, IPCFS_WANT_READ, &reason);

	if (open->opened)
		ipcfs_decided_read(req, open, err, reason);
	else
		open->reason = reason;
	return err;
}

int ipcfs_control_open(fuse_req_t req, struct ipcfs_open *open)
{
	switch (open->node->key.kind) {
	case IPCFS_NODE_STATUS:
		if (open->writes)
			return -EPERM;
		if (open->object->class->rule == IPCFS_RULE_SYSV)
			return 0; /* for all, as ipcs */
		return check_read(req, open);
	case IPCFS_NODE_PEEK:
		return open->writes ? -EPERM : check_read(req, open);
	default:
		return 0; /* writing is judged by the kernel when it happens */
	}
}

/* status: the object's own lines, and what only the mount knows. */
static int status_text(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out)
{
	int err = object->class->status(object->space, &object->ref, out);

	if (!err && object->class->semaphore)
		return ipcfs_semaphore_status(req, object, out);
	if (err || !object->class->queue)
		return err;
	return ipcfs_text_printf(out, "returned=%llu\nwaiting_readers=%u\nwaiting_writers=%u\n",
				 (unsigned long long)object->returned,
				 object->parked[IPCFS_RECEIVE], object->parked[IPCFS_SEND]);
}

/* A process again and again, as in the lines of a set. */
struct known_process {
	pid_t tid, pid, number;
};

static pid_t number_of(void *arg, pid_t pid)
{
	struct known_process *known = arg;

	if (known->pid != pid) {
		known->pid = pid;
		known->number = ipcfs_namespace_number(known->tid, pid);
	}
	return known->number;
}

/* As who reads it numbers users and processes. */
static int translate(fuse_req_t req, struct ipcfs_text *status)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct known_process known = { .tid = caller.tid };
	struct ipcfs_translation translation = { .arg = &known };
	int err = ipcfs_caller_load(&caller);

	translation.ids = caller.foreign;
	translation.map = caller.map;
	if (!ipcfs_namespace_shares_numbers(caller.tid))
		translation.process = number_of;
	if (!err && (translation.ids || translation.process))
		err = ipcfs_translate_status(status, &translation);
	ipcfs_caller_free(&caller);
	return err;
}

static int max_bytes_text(const struct ipcfs_object *object, struct ipcfs_text *out)
{
	struct ipcfs_info info;
	int err = object->class->stat(object->space, &object->ref, &info);

	return err ? err : ipcfs_text_printf(out, "%llu\n", (unsigned long long)info.max_bytes);
}

static int peek_text(struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key,
		     struct ipcfs_text *out)
{
	long type;
	int err = ipcfs_peek_copy(fs, key->object, (size_t)key->selector, out, &type);

	return !err && type != key->detail ? -ENOENT : err;
}

/* What the file says now. */
static int content(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_text *out)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	int err;

	switch (node->key.kind) {
	case IPCFS_NODE_STATUS:
		err = status_text(req, node->key.object, out);
		if (!err)
			err = translate(req, out);
		break;
	case IPCFS_NODE_MAX_BYTES:
		err = max_bytes_text(node->key.object, out);
		break;
	case IPCFS_NODE_PEEK:
		err = peek_text(fs, &node->key, out);
		break;
	case IPCFS_NODE_LIMIT:
		return ipcfs_limit_read(&ipcfs_limits[node->key.selector], out);
	default:
		return -EINVAL;
	}
	return err == -ENOENT ? -EIDRM : err; /* it was there when it was opened */
}

size_t ipcfs_control_size(fuse_req_t req, const struct ipcfs_node *node)
{
	struct ipcfs_text text = { 0 };
	size_t size = content(req, node, &text) ? 0 : text.size;

	ipcfs_text_free(&text);
	return size;
}

/* `create` is a stream: the paths that were made, each once. */
static void read_made(fuse_req_t req, struct ipcfs_open *open, size_t size)
{
	struct ipcfs_text bytes = { 0 };
	int err;

	pthread_mutex_lock(&open->lock);
	if (size > open->text.size)
		size = open->text.size;
	err = ipcfs_text_add(&bytes, open->text.data, size);
	if (!err)
		ipcfs_text_drop(&open->text, size);
	pthread_mutex_unlock(&open->lock);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
}

/* The others are sampled when read from the start, and that sample is read on. */
static void read_sample(fuse_req_t req, struct ipcfs_open *open, size_t size, size_t offset)
{
	struct ipcfs_text fresh = { 0 };
	struct ipcfs_text bytes = { 0 };
	bool semaphore = ipcfs_node_is_semaphore(open->node);
	int err;

	if (semaphore)
		err = ipcfs_open_check(ipcfs_of(req), open, IPCFS_RECEIVE, fuse_req_ctx(req)->pid);
	else
		err = ipcfs_control_open(req, open);
	if (err == -ESTALE)
		err = -EIDRM;
	if (!err && offset == 0)
		err = semaphore ? ipcfs_semaphore_text(open, &fresh)
				: content(req, open->node, &fresh);
	pthread_mutex_lock(&open->lock);
	if (!err && offset == 0) {
		struct ipcfs_text old = open->text;

		open->text = fresh;
		fresh = old;
	}
	if (!err && offset < open->text.size) {
		if (size > open->text.size - offset)
			size = open->text.size - offset;
		err = ipcfs_text_add(&bytes, open->text.data + offset, size);
	}
	pthread_mutex_unlock(&open->lock);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
	ipcfs_text_free(&fresh);
}

void ipcfs_control_read(fuse_req_t req, struct ipcfs_open *open, size_t size, off_t offset)
{
	if (open->node->key.kind == IPCFS_NODE_CREATE)
		read_made(req, open, size);
	else
		read_sample(req, open, size, (size_t)offset);
}

/* Make what one line asks for, and remember the path for who reads. */
static int make_line(fuse_req_t req, struct ipcfs_open *open, const char *line, size_t size)
{
	struct ipcfs_info info;
	struct ipcfs_spec spec;
	int err;

	err = ipcfs_spec_parse(line, size, &spec);
	if (err)
		return err > 0 ? 0 : err; /* empty lines and comments */
	err = ipcfs_make(req, open->node->key.view, &spec, &info);
	ipcfs_spec_free(&spec);
	if (err)
		return err;
	pthread_mutex_lock(&open->lock);
	/* Made is made: without memory its path can't be read back, that is all. */
	if (open->reads)
		ipcfs_text_printf(&open->text, "%s/%s/%s\n", spec.backend->family,
				  spec.backend->class_name, info.ref.name);
	pthread_mutex_unlock(&open->lock);
	return 0;
}

/* Lines in their order; what follows a bad one is not looked at. */
static ssize_t write_specs(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		const char *line = bytes + done;
		const char *end = memchr(line, '\n', size - done);
		size_t length = end ? (size_t)(end - line) : size - done;
		int err = make_line(req, open, line, length);

		if (err)
			return done ? (ssize_t)done : err;
		done += length + (end ? 1 : 0);
	}
	return (ssize_t)done;
}

/* A number and perhaps a newline. */
static int write_max_bytes(fuse_req_t req, struct ipcfs_object *object, const char *bytes,
			   size_t size)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MAX_BYTES };
	int err;

	if (size && bytes[size - 1] == '\n')
		size--;
	err = ipcfs_size_parse(bytes, size, ULONG_MAX, &change.max_bytes);
	if (!err)
		err = ipcfs_caller_load(&caller);
	if (!err)
		err = object->class->change(object->space, &object->ref, &change, &caller);
	ipcfs_caller_free(&caller);
	ipcfs_decided_change(req, IPCFS_AUDIT_CHANGE_BYTES, object, &change, err);
	if (!err)
		ipcfs_room_recheck(ipcfs_of(req)->room, object); /* there may be room now */
	return err == -ENOENT ? -EIDRM : err;
}

/*
 * What runs a container keeps its root, who could else, from limits by mounting /proc/sys read-only: so who wants
 * to set them through a mount from outside has to be able to undo that.
 */
static int check_limits(const struct ipcfs_view *view, struct ipcfs_caller *caller)
{
	return view->inode ? ipcfs_registry_check_root(view, caller) : 0;
}

static int write_limit(fuse_req_t req, const struct ipcfs_node_key *key, const char *bytes,
		       size_t size)
{
	const long limit = key->selector;
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	int err = ipcfs_caller_load(&caller);

	if (!err)
		err = check_limits(key->view, &caller);
	if (!err)
		err = ipcfs_limit_write(&ipcfs_limits[limit], &caller, bytes, size);
	ipcfs_caller_free(&caller);
	ipcfs_decided_limit(req, &ipcfs_limits[limit], bytes, size, err);
	return err;
}

void ipcfs_control_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size)
{
	const struct ipcfs_node_key *key = &open->node->key;
	ssize_t done;

	switch (key->kind) {
	case IPCFS_NODE_CREATE:
		done = write_specs(req, open, bytes, size);
		break;
	case IPCFS_NODE_MAX_BYTES:
		done = write_max_bytes(req, key->object, bytes, size);
		break;
	case IPCFS_NODE_LIMIT:
		done = write_limit(req, key, bytes, size);
		break;
	default:
		done = -EPERM;
	}
	if (done < 0)
		ipcfs_reply_error(req, (int)done);
	else
		ipcfs_reply_count(req, key->kind == IPCFS_NODE_CREATE ? (size_t)done : size);
}
