/* SPDX-License-Identifier: MIT */
#include "fs/request/audit_event.h"

#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>

#include "fs/access/access.h"
#include "fs/base/counters.h"
#include "fs/request/ns_entry.h"
#include "fs/request/tell.h"
#include "fs/tree/path.h"
#include "fs/tree/static_tree.h"

#define DETAIL_SIZE 64 /* bytes of what a change is, with a NUL */

/*
 * Returns whether the audit asks for the event. Counts it if it is a refusal, whether there is an
 * audit or not.
 */
static bool is_asked(const struct ipcfs_filesystem *fs, const struct ipcfs_audit_event *event)
{
	if (event->error && ipcfs_audit_wanted(IPCFS_AUDIT_DENY, event->op, event->error))
		ipcfs_count_denied(event->reason);
	return ipcfs_audit_asks(&fs->audit, event->op, event->error);
}

/* Fills in the object and file of a key. `path` must live as long as the event. */
static void add_key(const struct ipcfs_filesystem *fs, struct ipcfs_audit_event *event,
		    const struct ipcfs_node_key *key, char path[IPCFS_TREE_PATH_SIZE])
{
	const struct ipcfs_object *object = ipcfs_object_at(&fs->objects, key->object);
	const struct ipcfs_view *view = ipcfs_view_at(fs->registry, key->view);

	event->ipc_namespace = view ? view->inode : 0;
	if (key->kind == IPCFS_NODE_LIMIT)
		event->family = "limits";
	if (!object) {
		event->name = ipcfs_static_tree_name(key);
		return;
	}
	event->family = object->class->family;
	event->class_name = object->class->name;
	event->name = object->ref.name;
	ipcfs_tree_path(object->class, key, path);
	event->file = path;
}

/* Fills in the caller of the request. */
static void add_caller(struct ipcfs_audit_event *event, fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	event->uid = context->uid;
	event->gid = context->gid;
	event->tid = context->pid;
	event->ipc_namespace = ipcfs_ns_entered();
}

/* Fills in the opener of a file, for a request of the thread `tid`. */
static void add_opener(struct ipcfs_audit_event *event, const struct ipcfs_file *file, pid_t tid)
{
	event->uid = file->opener.uid;
	event->gid = file->opener.gid;
	event->tid = tid;
}

void ipcfs_audit_event_entry(struct ipcfs_filesystem *fs, const void *request, int err,
			     const char *reason)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_ENTER,
		.error = err,
		.reason = reason,
	};
	struct fuse_in_header in;

	if (!is_asked(fs, &event))
		return;
	memcpy(&in, request, sizeof(in));
	event.uid = in.uid;
	event.gid = in.gid;
	event.tid = (pid_t)in.pid;
	ipcfs_audit(&fs->audit, &event);
}

/* Tells the readers of `events` that a caller was refused, if that is what the event says. */
static void tell_refusal(struct ipcfs_filesystem *fs, const struct ipcfs_audit_event *event,
			 const struct ipcfs_object *object, const struct ipcfs_actor *actor)
{
	char detail[IPCFS_EVENT_DETAIL];

	if (!event->error || !object || !ipcfs_events_wanted(&fs->events) ||
	    !ipcfs_audit_wanted(IPCFS_AUDIT_DENY, event->op, event->error))
		return;
	snprintf(detail, sizeof(detail), "%s: %s", ipcfs_audit_op_name(event->op),
		 event->reason ? event->reason : "unknown");
	ipcfs_tell(fs, object, IPCFS_EVENT_DENIED, actor, detail);
}

/* Reports an event on the node of a key, by the caller of the request. */
static void report_key(fuse_req_t req, struct ipcfs_audit_event event,
		       const struct ipcfs_node_key *key)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_actor actor = ipcfs_actor_of(req);
	char path[IPCFS_TREE_PATH_SIZE];

	tell_refusal(fs, &event, ipcfs_object_at(&fs->objects, key->object), &actor);
	if (!is_asked(fs, &event))
		return;
	add_key(fs, &event, key, path);
	add_caller(&event, req);
	ipcfs_audit(&fs->audit, &event);
}

void ipcfs_audit_event_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
			    unsigned want, int err, const char *reason)
{
	const struct ipcfs_audit_event event = {
		.op = op,
		.want = want,
		.error = err,
		.reason = reason,
	};

	report_key(req, event, &node->key);
}

void ipcfs_audit_event_open(struct ipcfs_filesystem *fs, const struct ipcfs_file *file, int err)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_OPEN,
		.want = (file->reads ? IPCFS_WANT_READ : 0U) |
			(file->writes ? IPCFS_WANT_WRITE : 0U),
		.error = err,
		.reason = file->reason,
	};
	const struct ipcfs_actor actor = ipcfs_actor_opener(file, file->opener.tid);
	char path[IPCFS_TREE_PATH_SIZE];

	tell_refusal(fs, &event, ipcfs_file_object(fs, file), &actor);
	if (!is_asked(fs, &event))
		return;
	add_key(fs, &event, &file->key, path);
	add_opener(&event, file, file->opener.tid);
	ipcfs_audit(&fs->audit, &event);
}

/*
 * Returns whether a use of the file is reported: each refusal, and the first permission after
 * one. Notes the answer for the next use.
 */
static bool is_news(struct ipcfs_file *file, enum ipcfs_direction direction, int err)
{
	if (!err && !file->refused[direction])
		return false;
	file->refused[direction] = err != 0;
	return true;
}

void ipcfs_audit_event_use(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			   enum ipcfs_direction direction, pid_t tid, int err, const char *reason)
{
	bool sends = direction == IPCFS_SEND;
	struct ipcfs_audit_event event = {
		.op = sends ? IPCFS_AUDIT_WRITE : IPCFS_AUDIT_READ,
		.want = sends ? IPCFS_WANT_WRITE : IPCFS_WANT_READ,
		.error = err,
		.reason = reason,
	};
	const struct ipcfs_actor actor = ipcfs_actor_opener(file, tid);
	char path[IPCFS_TREE_PATH_SIZE];

	if (!is_news(file, direction, err))
		return;
	tell_refusal(fs, &event, ipcfs_file_object(fs, file), &actor);
	if (!is_asked(fs, &event))
		return;
	add_key(fs, &event, &file->key, path);
	add_opener(&event, file, tid);
	ipcfs_audit(&fs->audit, &event);
}

void ipcfs_audit_event_use_by(fuse_req_t req, struct ipcfs_file *file,
			      enum ipcfs_direction direction, int err, const char *reason)
{
	bool sends = direction == IPCFS_SEND;
	const struct ipcfs_audit_event event = {
		.op = sends ? IPCFS_AUDIT_WRITE : IPCFS_AUDIT_READ,
		.want = sends ? IPCFS_WANT_WRITE : IPCFS_WANT_READ,
		.error = err,
		.reason = reason,
	};

	if (is_news(file, direction, err))
		report_key(req, event, &file->key);
}

void ipcfs_audit_event_name(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_class *class,
			    const char *name, const char *detail, int err)
{
	struct ipcfs_audit_event event = {
		.op = op,
		.error = err,
		.reason = IPCFS_REASON_KERNEL,
		.family = class->family,
		.class_name = class->name,
		.name = name,
		.detail = detail,
	};

	if (!is_asked(ipcfs_of(req), &event))
		return;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}

/* Writes a change as "mode=0600 uid=1" and so on. No change is "". */
static void describe(const struct ipcfs_change *change, char detail[DETAIL_SIZE])
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
	snprintf(detail, DETAIL_SIZE, "%s%s%s%s", mode, uid, gid, bytes);
	if (*detail)
		detail[strlen(detail) - 1] = '\0';
}

void ipcfs_audit_event_change(fuse_req_t req, enum ipcfs_audit_op op,
			      const struct ipcfs_object *object, const struct ipcfs_change *change,
			      int err)
{
	struct ipcfs_audit_event event = {
		.op = op,
		.error = err,
		.reason = IPCFS_REASON_KERNEL,
		.family = object->class->family,
		.class_name = object->class->name,
		.name = object->ref.name,
		.file = op == IPCFS_AUDIT_CHANGE_BYTES ? "qbytes" : NULL,
	};
	const struct ipcfs_actor actor = ipcfs_actor_of(req);
	char detail[DETAIL_SIZE];

	tell_refusal(ipcfs_of(req), &event, object, &actor);
	if (!is_asked(ipcfs_of(req), &event))
		return;
	describe(change, detail);
	event.detail = detail;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}

void ipcfs_audit_event_limit(fuse_req_t req, const struct ipcfs_limit *limit, const char *value,
			     size_t size, int err)
{
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_LIMIT,
		.error = err,
		.reason = IPCFS_REASON_KERNEL,
		.family = "limits",
		.name = limit->name,
	};
	char detail[DETAIL_SIZE];

	if (!is_asked(ipcfs_of(req), &event))
		return;
	if (err) /* what was refused may be any bytes */
		size = 0;
	if (size && value[size - 1] == '\n')
		size--;
	snprintf(detail, sizeof(detail), "%.*s", (int)(size < DETAIL_SIZE ? size : DETAIL_SIZE),
		 value);
	event.detail = detail;
	add_caller(&event, req);
	ipcfs_audit(&ipcfs_of(req)->audit, &event);
}
