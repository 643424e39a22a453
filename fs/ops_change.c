/* SPDX-License-Identifier: MIT */
/* Making, removing and changing objects: the kernel judges, by the caller's own credentials. */
#include <errno.h>
#include <string.h>

#include "attr.h"
#include "caller.h"
#include "decision.h"
#include "make.h"
#include "ops.h"
#include "permission.h"
#include "reply.h"
#include "room.h"
#include "segment.h"
#include "tree.h"

#define TIMES                                                                                      \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |                     \
	 FUSE_SET_ATTR_MTIME_NOW)
#define OWNER_AND_MODE (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)

void ipcfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *directory = ipcfs_node_at(&fs->nodes, parent);
	struct ipcfs_found found;
	struct ipcfs_spec spec;
	int err;

	if (!directory || directory->key.kind != IPCFS_NODE_CLASS) {
		ipcfs_reply_error(req, -EPERM);
		return;
	}
	spec = (struct ipcfs_spec){
		.backend = directory->key.class,
		.given = IPCFS_SPEC_MODE,
		.mode = ipcfs_make_mode(mode, fuse_req_ctx(req)->umask),
	};
	err = spec.backend->check_name(name);
	if (!err) {
		strcpy(spec.name, name); /* check_name has seen that it fits */
		err = ipcfs_make(req, directory->key.view, &spec, &found.info);
	}
	if (!err)
		err = ipcfs_tree_object(fs, directory, &found.info, &found.node);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_made(req, &found, name);
}

static int remove_object(fuse_req_t req, const struct ipcfs_node *directory, const char *name)
{
	const struct ipcfs_backend *class = directory->key.class;
	struct ipcfs_space *space = ipcfs_node_space(directory);
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_object *object;
	struct ipcfs_info info;
	int err;

	err = class->find(space, name, &info);
	if (err)
		return err;
	if (strcmp(name, info.ref.name) != 0)
		return -ENOTDIR; /* another spelling: a symbolic link */
	err = ipcfs_caller_load(&caller);
	if (!err)
		err = class->remove(space, &info.ref, &caller);
	ipcfs_caller_free(&caller);
	ipcfs_decided_name(req, IPCFS_AUDIT_REMOVE, class, info.ref.name, NULL, err);
	if (err)
		return err;
	ipcfs_permission_removed(space, class, &info.ref);
	object = ipcfs_object_get(&fs->objects, space, class, &info.ref);
	if (object) {
		ipcfs_object_removed(&fs->objects, object);
		ipcfs_room_recheck(fs->room, object);
	}
	ipcfs_object_put(&fs->objects, object);
	return 0;
}

void ipcfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct ipcfs_node *directory = ipcfs_node_at(&ipcfs_of(req)->nodes, parent);

	if (!directory || directory->key.kind != IPCFS_NODE_CLASS)
		ipcfs_reply_error(req, -EPERM);
	else
		ipcfs_reply_error(req, remove_object(req, directory, name));
}

static int change_object(fuse_req_t req, struct ipcfs_object *object, const struct stat *attr,
			 int to_set)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_change change = {
		.mode = attr->st_mode & 0666,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
	};
	int err;

	if (to_set & FUSE_SET_ATTR_MODE)
		change.mask |= IPCFS_CHANGE_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		change.mask |= IPCFS_CHANGE_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		change.mask |= IPCFS_CHANGE_GID;
	err = ipcfs_caller_load(&caller);
	if (!err)
		err = ipcfs_permission_change(object, &change, &caller);
	ipcfs_caller_free(&caller);
	ipcfs_decided_change(
		req, change.mask == IPCFS_CHANGE_MODE ? IPCFS_AUDIT_CHMOD : IPCFS_AUDIT_CHOWN,
		object, &change, err);
	if (!err)
		ipcfs_room_recheck(fs->room, object); /* waiters may have lost their right */
	return err;
}

/* Memory is made longer or shorter; for the rest truncate(2) to nothing is what `>` does, and changes nothing. */
static int set_size(fuse_req_t req, const struct ipcfs_node *node, off_t size,
		    struct fuse_file_info *fi)
{
	if (ipcfs_node_is_segment(node))
		return ipcfs_segment_resize(req, node,
					    fi ? ipcfs_open_at(ipcfs_of(req), fi->fh) : NULL, size);
	if (size != 0)
		return -EINVAL;
	if (!node->key.object || node->key.kind == IPCFS_NODE_MAX_BYTES)
		return 0;
	if (!(ipcfs_attr_mask(&node->key) & 0222))
		return -EPERM;
	return ipcfs_op_judge(req, IPCFS_AUDIT_WRITE, node, IPCFS_WANT_WRITE);
}

static int set_attributes(fuse_req_t req, const struct ipcfs_node *node, const struct stat *attr,
			  int to_set, struct fuse_file_info *fi)
{
	int err = 0;

	if (to_set & FUSE_SET_ATTR_SIZE)
		err = set_size(req, node, attr->st_size, fi);
	else if (to_set & TIMES)
		err = -EPERM; /* they tell of messages, and are the kernel's */
	if (err || !(to_set & OWNER_AND_MODE))
		return err;
	if (!node->key.object || node->key.kind == IPCFS_NODE_ALIAS ||
	    node->key.kind == IPCFS_NODE_ID_LINK)
		return -EPERM;
	return change_object(req, node->key.object, attr, to_set);
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
		err = ipcfs_attr_look(req, node, &st);
	if (err == -ESTALE && fi)
		err = -EIDRM; /* there is no path to look up anew */
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
