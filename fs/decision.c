/* SPDX-License-Identifier: MIT */
#include "decision.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "shape.h"
#include "tree.h"
#include "visit.h"

#define DETAIL_ROOM 64

static void add_node(struct ipcfs_audit_event *event, const struct ipcfs_node *node,
		     char file[IPCFS_TREE_FILE_ROOM])
{
	const struct ipcfs_object *object = node->key.object;

	event->ipc_namespace = node->key.view ? node->key.view->inode : 0;
	if (node->key.kind == IPCFS_NODE_LIMIT)
		event->family = "limits";
	if (!object) {
		event->name = ipcfs_shape_name(&node->key);
		return;
	}
	event->family = object->class->family;
	event->class_name = object->class->class_name;
	event->name = object->ref.name;
	ipcfs_tree_file(&node->key, file);
	event->file = file;
}

static void add_caller(struct ipcfs_audit_event *event, fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	event->uid = context->uid;
	event->gid = context->gid;
	event->tid = context->pid;
	event->ipc_namespace = ipcfs_visited();
}

static void add_opener(struct ipcfs_audit_event *event, const struct ipcfs_open *open, pid_t tid)
{
	event->uid = open->opener.uid;
	event->gid = open->opener.gid;
	event->tid = tid;
}

void ipcfs_decided_entry(struct ipcfs_filesystem *fs, const void *request, int err,
			 const char *reason)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_ENTER,
		.error = err,
		.reason = reason,
	};
	struct fuse_in_header in;

	if (!ipcfs_audit_asks(&fs->audit, event.op, err))
		return;
	memcpy(&in, request, sizeof(in));
	event.uid = in.uid;
	event.gid = in.gid;
	event.tid = (pid_t)in.pid;
	ipcfs_audit(&fs->audit, &event);
}

void ipcfs_decided_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
			unsigned want, int err, const char *reason)
{
	struct ipcfs_audit_event event = { .op = op, .want = want, .error = err, .reason = reason };
	char file[IPCFS_TREE_FILE_ROOM];

	if (!ipcfs_audit_asks(&ipcfs_of(req)->audit, op, err))
		return;
	add_node(&event, node, file);
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}

void ipcfs_decided_open(struct ipcfs_filesystem *fs, const struct ipcfs_open *open, int err)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_OPEN,
		.want = (open->reads ? IPCFS_WANT_READ : 0U) |
			(open->writes ? IPCFS_WANT_WRITE : 0U),
		.error = err,
		.reason = open->reason,
	};
	char file[IPCFS_TREE_FILE_ROOM];

	if (!ipcfs_audit_asks(&fs->audit, event.op, err))
		return;
	add_node(&event, open->node, file);
	add_opener(&event, open, open->opener.tid);
	ipcfs_audit(&fs->audit, &event);
}

/* Permission that lasts is no news, but a refusal is each time, and the first permission after it. */
static bool is_news(struct ipcfs_open *open, enum ipcfs_direction direction, int err)
{
	if (!err && !open->refused[direction])
		return false;
	open->refused[direction] = err != 0;
	return true;
}

void ipcfs_decided_use(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		       enum ipcfs_direction direction, pid_t tid, int err, const char *reason)
{
	bool sends = direction == IPCFS_SEND;
	struct ipcfs_audit_event event = {
		.op = sends ? IPCFS_AUDIT_WRITE : IPCFS_AUDIT_READ,
		.want = sends ? IPCFS_WANT_WRITE : IPCFS_WANT_READ,
		.error = err,
		.reason = reason,
	};
	char file[IPCFS_TREE_FILE_ROOM];

	if (!is_news(open, direction, err) || !ipcfs_audit_asks(&fs->audit, event.op, err))
		return;
	add_node(&event, open->node, file);
	add_opener(&event, open, tid);
	ipcfs_audit(&fs->audit, &event);
}

void ipcfs_decided_read(fuse_req_t req, struct ipcfs_open *open, int err, const char *reason)
{
	if (is_news(open, IPCFS_RECEIVE, err))
		ipcfs_decided_node(req, IPCFS_AUDIT_READ, open->node, IPCFS_WANT_READ, err, reason);
}

void ipcfs_decided_name(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_backend *class,
			const char *name, const char *detail, int err)
{
	struct ipcfs_audit_event event = {
		.op = op,
		.error = err,
		.reason = IPCFS_DECIDED_BY_KERNEL,
		.family = class->family,
		.class_name = class->class_name,
		.name = name,
		.detail = detail,
	};

	if (!ipcfs_audit_asks(&ipcfs_of(req)->audit, op, err))
		return;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}

/* Nothing is "". */
static void describe(const struct ipcfs_change *change, char detail[DETAIL_ROOM])
{
	char mode[16] = "", uid[16] = "", gid[16] = "", bytes[32] = "";

	if (change->mask & IPCFS_CHANGE_MODE)
		snprintf(mode, sizeof(mode), "mode=%04o ", change->mode);
	if (change->mask & IPCFS_CHANGE_UID)
		snprintf(uid, sizeof(uid), "uid=%u ", change->uid);
	if (change->mask & IPCFS_CHANGE_GID)
		snprintf(gid, sizeof(gid), "gid=%u ", change->gid);
	if (change->mask & IPCFS_CHANGE_MAX_BYTES)
		snprintf(bytes, sizeof(bytes), "qbytes=%" PRIu64 " ", change->max_bytes);
	snprintf(detail, DETAIL_ROOM, "%s%s%s%s", mode, uid, gid, bytes);
	if (*detail)
		detail[strlen(detail) - 1] = '\0';
}

void ipcfs_decided_change(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_object *object,
			  const struct ipcfs_change *change, int err)
{
	struct ipcfs_audit_event event = {
		.op = op,
		.error = err,
		.reason = IPCFS_DECIDED_BY_KERNEL,
		.family = object->class->family,
		.class_name = object->class->class_name,
		.name = object->ref.name,
		.file = op == IPCFS_AUDIT_CHANGE_BYTES ? "qbytes" : NULL,
	};
	char detail[DETAIL_ROOM];

	if (!ipcfs_audit_asks(&ipcfs_of(req)->audit, op, err))
		return;
	describe(change, detail);
	event.detail = detail;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}

void ipcfs_decided_limit(fuse_req_t req, const struct ipcfs_limit *limit, const char *value,
			 size_t size, int err)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_LIMIT,
		.error = err,
		.reason = IPCFS_DECIDED_BY_KERNEL,
		.family = "limits",
		.name = limit->name,
	};
	char detail[DETAIL_ROOM];

	if (!ipcfs_audit_asks(&ipcfs_of(req)->audit, event.op, err))
		return;
	if (err) /* who knows what it is */
		size = 0;
	if (size && value[size - 1] == '\n')
		size--;
	snprintf(detail, sizeof(detail), "%.*s", (int)(size < DETAIL_ROOM ? size : DETAIL_ROOM),
		 value);
	event.detail = detail;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}
