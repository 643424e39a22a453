/* SPDX-License-Identifier: MIT */
#include "fs/control/control.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>

#include "backends/contract/amqp.h"
#include "backends/contract/limits.h"
#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/base/number.h"
#include "fs/control/create.h"
#include "fs/control/metrics.h"
#include "fs/control/objects.h"
#include "fs/control/status.h"
#include "fs/control/users.h"
#include "fs/request/audit_event.h"
#include "fs/request/file_check.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/request/sample.h"
#include "fs/request/tell.h"
#include "fs/tree/peek.h"

/* The operations of one kind of control file. */
struct control {
	/* Checks that the caller of an open or of a read may read. NULL: everybody may. */
	int (*check_read)(fuse_req_t req, struct ipcfs_file *file);
	/* Checks that the opener, which is loaded, may write. NULL: everybody may. */
	int (*check_write)(fuse_req_t req, struct ipcfs_file *file);
	/* Appends the text of the file as it is now. NULL: `read` answers a read. */
	int (*text)(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out);
	void (*read)(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);
	/* Handles a write. Returns the number of bytes taken, or a negative errno. NULL: EPERM. */
	ssize_t (*write)(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);
};

/* Judges the caller of the request, which opens the file or reads it, and reports to the audit. */
static int check_reader(fuse_req_t req, struct ipcfs_file *file)
{
	const char *reason;
	int err = ipcfs_judge(req, ipcfs_file_object(ipcfs_of(req), file), IPCFS_WANT_READ,
			      &reason);

	if (file->opened)
		ipcfs_audit_event_use_by(req, file, IPCFS_RECEIVE, err, reason);
	else
		file->reason = reason;
	return err;
}

/* Everybody may read status of a System V object, as ipcs(1) shows it to everybody. */
static int check_status(fuse_req_t req, struct ipcfs_file *file)
{
	const struct ipcfs_object *object = ipcfs_file_object(ipcfs_of(req), file);

	return object->class->rule == IPCFS_RULE_SYSV ? 0 : check_reader(req, file);
}

static int status_text(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out)
{
	return ipcfs_status_text(req, ipcfs_object_at(&ipcfs_of(req)->objects, key->object), out);
}

#ifdef IPCFS_AMQP
static int brokers_text(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out)
{
	(void)req, (void)key;
	return ipcfs_amqp_status(out);
}
#endif

static int max_bytes_text(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out)
{
	const struct ipcfs_object *object = ipcfs_object_at(&ipcfs_of(req)->objects, key->object);
	struct ipcfs_info info;
	int err = object->class->stat(object->space, &object->ref, &info);

	return err ? err : ipcfs_text_printf(out, "%llu\n", (unsigned long long)info.max_bytes);
}

static int peek_text(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = ipcfs_object_at(&fs->objects, key->object);
	long type;
	int err = ipcfs_peek_copy(fs, object, (size_t)key->selector, out, &type);

	return !err && type != key->detail ? -ENOENT : err;
}

static int limit_text(fuse_req_t req, const struct ipcfs_node_key *key, struct ipcfs_text *out)
{
	(void)req;
	return ipcfs_limit_read(&ipcfs_limits[key->selector], out);
}

/* Checks that the opener may set qbytes, as the kernel does for IPC_SET, see msgctl(2). */
static int check_changer(fuse_req_t req, struct ipcfs_file *file)
{
	const struct ipcfs_object *object = ipcfs_file_object(ipcfs_of(req), file);
	const struct ipcfs_authority *authority = ipcfs_space_authority(object->space);
	struct ipcfs_info info;
	int err = object->class->stat_brief(object->space, &object->ref, &info);

	file->reason = "owner";
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	if (ipcfs_access_is_owner(object->class->rule, &info.perm, &file->opener))
		return 0;
	file->reason = "capability";
	return ipcfs_authority_caps(authority, &file->opener) >> CAP_SYS_ADMIN & 1 ? 0 : -EPERM;
}

/* Sets qbytes to the number of bytes that was written, with or without a newline. */
static ssize_t write_max_bytes(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	const struct ipcfs_object *object = ipcfs_file_object(ipcfs_of(req), file);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	const struct ipcfs_actor actor = ipcfs_actor_of(req);
	struct ipcfs_events *events = &ipcfs_of(req)->events;
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MAX_BYTES };
	size_t size = io->size;
	unsigned act;
	int err;

	if (size && io->bytes[size - 1] == '\n')
		size--;
	err = ipcfs_size_parse(io->bytes, size, ULONG_MAX, &change.max_bytes);
	if (!err)
		err = ipcfs_caller_load(&caller);
	act = ipcfs_events_begin_act(events);
	if (!err)
		err = object->class->change(object->space, &object->ref, &change, &caller);
	if (!err)
		ipcfs_tell(ipcfs_of(req), object, IPCFS_EVENT_CHANGED, &actor, "qbytes");
	ipcfs_events_end_act(events, act);
	ipcfs_caller_free(&caller);
	ipcfs_audit_event_change(req, IPCFS_AUDIT_CHANGE_BYTES, object, &change, err);
	if (err)
		return err == -ENOENT ? -EIDRM : err;
	return (ssize_t)io->size; /* the kernel wakes senders for which there is room now */
}

/*
 * Checks that the caller may set limits of another namespace. A container runtime keeps a
 * container's root from setting limits: it mounts /proc/sys read-only. A mount of the host must
 * not lift this. So the caller needs CAP_SYS_ADMIN over the namespace, with which it could mount
 * /proc/sys itself.
 */
static int check_limits(fuse_req_t req, const struct ipcfs_file *file, struct ipcfs_caller *caller)
{
	const struct ipcfs_view *view = ipcfs_view_at(ipcfs_of(req)->registry, file->key.view);

	return view->inode ? ipcfs_registry_check_root(view, caller) : 0;
}

/* Checks the opener of a limit. */
static int check_setter(fuse_req_t req, struct ipcfs_file *file)
{
	int err = check_limits(req, file, &file->opener);

	if (!err)
		err = ipcfs_limit_check(&ipcfs_limits[file->key.selector], &file->opener);
	file->reason = IPCFS_REASON_KERNEL;
	return err;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/*
 * Appends the numbers of a new value with their suffixes worked out, and one blank behind each.
 * -EINVAL, -ERANGE: as ipcfs_size_parse.
 * -ENOMEM.
 */
static int plain_numbers(const char *bytes, size_t size, struct ipcfs_text *out)
{
	int err = 0;

	for (size_t at = 0, end; !err && at < size; at = end) {
		uint64_t number;

		while (at < size && is_blank(bytes[at]))
			at++;
		for (end = at; end < size && !is_blank(bytes[end]);)
			end++;
		if (at == end)
			return 0;
		err = ipcfs_size_parse(bytes + at, end - at, ULONG_MAX, &number);
		if (!err)
			err = ipcfs_text_printf(out, "%llu ", (unsigned long long)number);
	}
	return err;
}

/* Sets a limit; the kernel judges the caller. */
static ssize_t write_limit(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	const struct ipcfs_limit *limit = &ipcfs_limits[file->key.selector];
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	struct ipcfs_text value = { 0 };
	size_t size = io->size;
	int err = ipcfs_caller_load(&caller);

	if (size && io->bytes[size - 1] == '\n')
		size--;
	if (!err)
		err = check_limits(req, file, &caller);
	if (!err)
		err = plain_numbers(io->bytes, size, &value);
	if (!err)
		err = ipcfs_limit_write(limit, &caller, value.data, value.size);
	ipcfs_text_free(&value);
	ipcfs_caller_free(&caller);
	ipcfs_audit_event_limit(req, limit, io->bytes, io->size, err);
	return err ? err : (ssize_t)io->size;
}

/* Returns what the file of this key does. */
static const struct control *control_of(const struct ipcfs_node_key *key)
{
	static const struct control controls[IPCFS_NODE_KINDS] = {
		[IPCFS_NODE_CREATE] = { .read = ipcfs_create_read, .write = ipcfs_create_write },
		[IPCFS_NODE_OBJECTS] = { .read = ipcfs_objects_read },
		[IPCFS_NODE_METRICS] = { .read = ipcfs_metrics_read },
#ifdef IPCFS_AMQP
		[IPCFS_NODE_AMQP_STATUS] = { .text = brokers_text },
#endif
		[IPCFS_NODE_STATUS] = { .check_read = check_status, .text = status_text },
		[IPCFS_NODE_USERS] = { .check_read = check_status, .read = ipcfs_users_read },
		[IPCFS_NODE_MAX_BYTES] = { .check_write = check_changer,
					   .text = max_bytes_text,
					   .write = write_max_bytes },
		[IPCFS_NODE_PEEK] = { .check_read = check_reader, .text = peek_text },
		[IPCFS_NODE_LIMIT] = { .check_write = check_setter,
				       .text = limit_text,
				       .write = write_limit },
	};

	return &controls[key->kind];
}

/*
 * Judges the opener as a reader and as a writer. The kernel judges each write again, by the
 * credentials of the writer, which must not go beyond those that are loaded here.
 */
static int control_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	const struct control *control = control_of(&file->key);
	int err = 0;

	(void)flags;
	if (file->writes && !control->write)
		return -EPERM;
	if (file->writes || !control->text) /* lines are judged for the opener, too */
		err = ipcfs_caller_load(&file->opener);
	if (!err && file->writes && control->check_write)
		err = control->check_write(req, file);
	return !err && control->check_read ? control->check_read(req, file) : err;
}

/* For struct ipcfs_file_ops. Nothing is open. */
static int control_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	(void)fs, (void)file;
	return 0;
}

/* Appends the text of the file. For ipcfs_sample_read. */
static int sample_text(fuse_req_t req, struct ipcfs_file *file, struct ipcfs_text *out)
{
	int err = control_of(&file->key)->text(req, &file->key, out);

	/* the file is open, so the object was there and has been removed */
	return err == -ENOENT && file->key.object ? -EIDRM : err;
}

static void control_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	const struct control *control = control_of(&file->key);
	int err = 0;

	if (control->check_read)
		err = control->check_read(req, file);
	if (err)
		ipcfs_reply_error(req, err == -ESTALE ? -EIDRM : err);
	else if (!control->text)
		control->read(req, file, io);
	else
		ipcfs_sample_read(req, file, io, sample_text);
}

static void control_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	const struct control *control = control_of(&file->key);
	ssize_t done = ipcfs_file_check_writer(req, file);

	if (!done)
		done = control->write(req, file, io);
	ipcfs_reply_write(req, done < 0 ? (int)done : 0, (size_t)done);
}

static ssize_t control_size(fuse_req_t req, const struct ipcfs_node *node)
{
	const struct control *control = control_of(&node->key);
	struct ipcfs_text text = { 0 };
	int err = control->text(req, &node->key, &text);
	ssize_t size = err ? 0 : (ssize_t)text.size;

	ipcfs_text_free(&text);
	return err == -ERESTART ? err : size;
}

const struct ipcfs_file_ops ipcfs_control_file_ops = {
	.open = control_open,
	.reopen = control_reopen,
	.read = control_read,
	.write = control_write,
	.size = control_size,
};
