/* SPDX-License-Identifier: MIT */
/* Making, removing and changing objects. The kernel judges, by the caller's own credentials. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/base/log.h"
#include "fs/control/make.h"
#include "fs/ops/echo_ops.h"
#include "fs/ops/getattr.h"
#include "fs/ops/ops.h"
#include "fs/request/audit_event.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/request/tell.h"
#include "fs/segment/segment.h"
#include "fs/tree/attr.h"
#include "fs/tree/permission.h"
#include "fs/tree/tree.h"
#include "fs/wait/waits.h"

#define TIMES                                                                                      \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |                     \
	 FUSE_SET_ATTR_MTIME_NOW)
#define OWNER_AND_MODE (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)

/* Removes an object again for which the daemon has no memory. */
static void undo_make(fuse_req_t req, const struct ipcfs_node *directory,
		      const struct ipcfs_ref *ref)
{
	struct ipcfs_caller caller = ipcfs_request_caller(req);

	if (ipcfs_caller_load(&caller) ||
	    ipcfs_class_at(directory->key.class)
		    ->remove(ipcfs_node_space(ipcfs_of(req), directory), ref, &caller))
		ipcfs_log(LOG_WARNING, "%s was made, but its maker was not told", ref->name);
	ipcfs_caller_free(&caller);
}

void ipcfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *directory = ipcfs_node_at(&fs->nodes, parent);
	struct ipcfs_entry found;
	struct ipcfs_spec spec;
	int err;

	if (ipcfs_echo_mkdir(req, directory, name))
		return;
	if (!directory || directory->key.kind != IPCFS_NODE_CLASS) {
		ipcfs_reply_error(req, -EPERM);
		return;
	}
	spec = (struct ipcfs_spec){
		.class = ipcfs_class_at(directory->key.class),
		.given = IPCFS_SPEC_MODE,
		.mode = ipcfs_make_mode(mode, fuse_req_ctx(req)->umask),
	};
	err = spec.class->check_name(name);
	if (!err) {
		strcpy(spec.name, name); /* check_name has checked the length */
		err = ipcfs_make(req, ipcfs_node_view(fs, directory), &spec, &found.info, NULL);
	}
	if (!err) {
		err = ipcfs_tree_object(fs, directory, &found.info, name, fuse_req_ctx(req)->uid,
					&found.node);
		if (err)
			undo_make(req, directory, &found.info.ref);
	}
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_entry(req, &found);
}

/* Removes an object as the caller, and tells of it. The errors of class->remove. */
static int remove_as(fuse_req_t req, struct ipcfs_caller *caller, const struct ipcfs_space *space,
		     const struct ipcfs_class *class, const struct ipcfs_info *info)
{
	struct ipcfs_events *events = &ipcfs_of(req)->events;
	int err = ipcfs_caller_load(caller);
	unsigned act;
	bool begun;

	if (!err)
		err = ipcfs_permission_makers(class, caller);
	if (err)
		return err;
	act = ipcfs_events_begin_act(events);
	begun = ipcfs_effects_act();
	err = class->remove(space, &info->ref, caller);
	if (err)
		ipcfs_effects_set(begun);
	else
		ipcfs_tell_name(req, space, class, info, IPCFS_EVENT_REMOVED);
	ipcfs_events_end_act(events, act);
	return err;
}

/* Removes the object of this name, with its list, and ends its waits. */
static int remove_object(fuse_req_t req, const struct ipcfs_node *directory, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_class *class = ipcfs_class_at(directory->key.class);
	struct ipcfs_space *space = ipcfs_node_space(fs, directory);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	struct ipcfs_object *object;
	struct ipcfs_info info;
	int err;

	err = class->find(space, name, &info);
	if (err)
		return err;
	err = remove_as(req, &caller, space, class, &info);
	ipcfs_caller_free(&caller);
	if (err != -ERESTART) /* else the request comes again */
		ipcfs_audit_event_name(req, IPCFS_AUDIT_REMOVE, class, info.ref.name, NULL, err);
	if (err)
		return err;
	ipcfs_permission_removed(space, class, &info.ref);
	object = ipcfs_object_get(&fs->objects, space, class, &info.ref);
	if (object) {
		ipcfs_object_removed(&fs->objects, object);
		ipcfs_waits_recheck(fs->waits, object);
	}
	ipcfs_object_unref(&fs->objects, object);
	return 0;
}

void ipcfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct ipcfs_node *directory = ipcfs_node_at(&ipcfs_of(req)->nodes, parent);

	if (ipcfs_echo_rmdir(req, directory))
		return;
	if (!directory || directory->key.kind != IPCFS_NODE_CLASS)
		ipcfs_reply_error(req, -EPERM);
	else
		ipcfs_reply_error(req, remove_object(req, directory, name));
}

/* Returns one of the times of utimensat(2). */
static struct timespec time_of(struct timespec given, int to_set, int set, int now)
{
	if (to_set & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return to_set & set ? given : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

/*
 * Has the kernel set the times of an object, as the caller.
 * -EPERM: the kernel has no place for them, or the caller may not set them.
 * -EACCES: the caller may not set them.
 */
static int pass_times(fuse_req_t req, struct ipcfs_object *object, const struct stat *attr,
		      int to_set)
{
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	const struct ipcfs_change change = {
		.mask = IPCFS_CHANGE_TIMES,
		.times = { time_of(attr->st_atim, to_set, FUSE_SET_ATTR_ATIME,
				   FUSE_SET_ATTR_ATIME_NOW),
			   time_of(attr->st_mtim, to_set, FUSE_SET_ATTR_MTIME,
				   FUSE_SET_ATTR_MTIME_NOW) },
	};
	int err;

	if (!(object->class->change_fields & IPCFS_CHANGE_TIMES))
		return -EPERM;
	err = ipcfs_caller_load(&caller);
	if (!err)
		err = ipcfs_permission_change(object, &change, &caller);
	ipcfs_caller_free(&caller);
	return err;
}

/*
 * Sets the times of an object where the kernel has a place for them and lets the caller set them.
 * Otherwise does nothing, but needs the right to write.
 * -EPERM: the node is a link, or nobody can write it.
 * -EACCES: the caller may not write the object.
 */
static int set_times(fuse_req_t req, const struct ipcfs_node *node, const struct stat *attr,
		     int to_set)
{
	struct ipcfs_object *object = ipcfs_node_object(ipcfs_of(req), node);
	int err;

	if (S_ISLNK(ipcfs_attr_type(&node->key)))
		return -EPERM;
	if (!object)
		return ipcfs_file_kinds[node->key.kind].mode & 0222 ? 0 : -EPERM;
	err = pass_times(req, object, attr, to_set);
	if (err != -EPERM && err != -EACCES)
		return err;
	return ipcfs_judge_node(req, IPCFS_AUDIT_WRITE, node, IPCFS_WANT_WRITE);
}

/* Changes owner, group or mode of an object. */
static int change_object(fuse_req_t req, struct ipcfs_object *object, const struct stat *attr,
			 int to_set)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	const struct ipcfs_actor actor = ipcfs_actor_of(req);
	struct ipcfs_change change = {
		.mode = attr->st_mode & 0666,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
	};
	unsigned act;
	int err;

	if (to_set & FUSE_SET_ATTR_MODE)
		change.mask |= IPCFS_CHANGE_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		change.mask |= IPCFS_CHANGE_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		change.mask |= IPCFS_CHANGE_GID;
	act = ipcfs_events_begin_act(&fs->events);
	err = ipcfs_caller_load(&caller);
	if (!err)
		err = ipcfs_permission_change(object, &change, &caller);
	if (!err)
		ipcfs_tell(fs, object, IPCFS_EVENT_CHANGED, &actor,
			   change.mask == IPCFS_CHANGE_MODE ? "mode" : "owner");
	ipcfs_events_end_act(&fs->events, act);
	ipcfs_caller_free(&caller);
	ipcfs_audit_event_change(
		req, change.mask == IPCFS_CHANGE_MODE ? IPCFS_AUDIT_CHMOD : IPCFS_AUDIT_CHOWN,
		object, &change, err);
	if (!err)
		ipcfs_waits_recheck(fs->waits, object); /* waiters may have no right any more */
	return err;
}

/*
 * Sets the size of a segment. Other files can only be truncated to size 0, as `>` of a shell
 * does. This changes nothing, but needs the right to write.
 * -EINVAL: the size is not 0.
 * -EPERM: the file can't be written.
 */
static int set_size(fuse_req_t req, const struct ipcfs_node *node, off_t size,
		    struct fuse_file_info *fi)
{
	const struct ipcfs_filesystem *fs = ipcfs_of(req);
	enum ipcfs_node_kind kind = node->key.kind;

	if (ipcfs_file_kinds[kind].group == IPCFS_GROUP_SEGMENT)
		return ipcfs_segment_resize(
			req, node,
			fi ? ipcfs_file_at(ipcfs_of(req), fi->fh, node->id, false) : NULL, size);
	if (size != 0)
		return -EINVAL;
	if (!node->key.object || ipcfs_file_kind_has(kind, IPCFS_FILE_WRITER_JUDGED))
		return 0;
	if (!(ipcfs_attr_mask(ipcfs_node_object(fs, node)->class, &node->key) & 0222))
		return -EPERM;
	return ipcfs_judge_node(req, IPCFS_AUDIT_WRITE, node,
				ipcfs_file_kind_has(kind, IPCFS_FILE_READERS_WRITE)
					? IPCFS_WANT_READ
					: IPCFS_WANT_WRITE);
}

/*
 * Gives a new mode for a file that readers may write the w of the object's mode. In that of the
 * file, w only says that r does. -ENOENT, -ENOMEM.
 */
static int keep_writes(const struct ipcfs_object *object, struct stat *changed)
{
	struct ipcfs_info info;
	int err = object->class->stat_brief(object->space, &object->ref, &info);
	mode_t now = err ? 0 : ipcfs_permission_mode(object->space, object->class, &info);

	changed->st_mode = (changed->st_mode & ~0222U) | (now & 0222);
	return err;
}

/* Sets what `to_set` asks for, FUSE_SET_ATTR_*. */
static int set_attributes(fuse_req_t req, const struct ipcfs_node *node, const struct stat *attr,
			  int to_set, struct fuse_file_info *fi)
{
	struct stat changed;
	int err = 0;

	if (to_set & FUSE_SET_ATTR_SIZE)
		err = set_size(req, node, attr->st_size, fi);
	else if (to_set & TIMES)
		err = set_times(req, node, attr, to_set);
	if (err || !(to_set & OWNER_AND_MODE))
		return err;
	if (!node->key.object || S_ISLNK(ipcfs_attr_type(&node->key)))
		return -EPERM;
	changed = *attr;
	if ((to_set & FUSE_SET_ATTR_MODE) &&
	    ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_READERS_WRITE))
		err = keep_writes(ipcfs_node_object(ipcfs_of(req), node), &changed);
	return err ? err
		   : change_object(req, ipcfs_node_object(ipcfs_of(req), node), &changed, to_set);
}

void ipcfs_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		      struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct stat st;
	int err;

	err = node ? set_attributes(req, node, attr, to_set, fi) : -ESTALE;
	if (err == -ENOENT)
		err = -ESTALE;
	if (!err)
		err = ipcfs_getattr_changed(req, node, &st);
	if (err == -ESTALE && node && fi)
		err = -EIDRM; /* an open file has no path that the kernel could look up again */
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_attr(req, node, &st);
}

void ipcfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	ipcfs_reply_error(req, -EPERM);
}

void ipcfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)device;
	ipcfs_reply_error(req, -EPERM);
}

void ipcfs_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	ipcfs_reply_error(req, -EPERM);
}

void ipcfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	(void)parent;
	(void)name;
	ipcfs_reply_error(req, -EPERM);
}

void ipcfs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	(void)parent;
	(void)name;
	ipcfs_reply_error(req, -EPERM);
}

void ipcfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		     const char *to_name, unsigned flags)
{
	(void)parent;
	(void)name;
	(void)to_parent;
	(void)to_name;
	(void)flags;
	ipcfs_reply_error(req, -EPERM);
}
