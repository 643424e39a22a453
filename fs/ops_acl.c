/* SPDX-License-Identifier: MIT */
/* Extended attributes: access control lists, and nothing else. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "attr.h"
#include "caller.h"
#include "decision.h"
#include "ops.h"
#include "permission.h"
#include "reply.h"
#include "room.h"

/* 0: the list of an object is meant. */
static int check_name(const struct ipcfs_node *node, const char *name)
{
	if (!node)
		return -ESTALE;
	if (strcmp(name, IPCFS_ACL_ATTRIBUTE) != 0)
		return -EOPNOTSUPP;
	if (!node->key.object || node->key.kind == IPCFS_NODE_ALIAS ||
	    node->key.kind == IPCFS_NODE_ID_LINK)
		return -EPERM;
	return 0;
}

/* Does stat(2) show of this file what the object's permissions are? */
static bool shows_mode(const struct ipcfs_node *node)
{
	switch (node->key.kind) {
	case IPCFS_NODE_STATUS:
	case IPCFS_NODE_MAX_BYTES:
		return false;
	default:
		return ipcfs_attr_mask(&node->key) == 0666;
	}
}

/* These are for all to read, or for the kernel to judge: where it asks for a list before us, there is none. */
static bool has_no_list(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node)
{
	if (!fs->kernel_checks)
		return false;
	return node->key.kind == IPCFS_NODE_MAX_BYTES ||
	       (node->key.kind == IPCFS_NODE_STATUS &&
		node->key.object->class->rule == IPCFS_RULE_SYSV);
}

/* The list as getfacl(1) shows it; count 0: the mode says it all. Directories can be searched by everybody. */
static int shown_list(const struct ipcfs_node *node, struct ipcfs_acl *acl)
{
	const struct ipcfs_object *object = node->key.object;
	struct ipcfs_info info;
	int err = object->class->glance(object->space, &object->ref, &info);

	if (!err)
		err = ipcfs_permission_acl(object->space, object->class, &object->ref, &info.perm,
					   acl);
	for (size_t i = 0; !err && S_ISDIR(ipcfs_attr_type(&node->key)) && i < acl->count; i++)
		acl->entries[i].perm |= 1;
	return err == -ENOENT ? -ESTALE : err;
}

static int value_of(struct ipcfs_filesystem *fs, const struct ipcfs_node *node, const char *name,
		    struct ipcfs_text *value)
{
	IPCFS_ACL_AUTO acl = { 0 };
	int err = check_name(node, name);

	if (err == -ESTALE)
		return err;
	if (err || has_no_list(fs, node))
		return -ENODATA;
	err = shown_list(node, &acl);
	if (err)
		return err;
	return acl.count ? ipcfs_acl_format(&acl, value) : -ENODATA;
}

static void reply_value(fuse_req_t req, const struct ipcfs_text *value, size_t room)
{
	if (room == 0)
		fuse_reply_xattr(req, value->size);
	else if (room < value->size)
		ipcfs_reply_error(req, -ERANGE);
	else
		ipcfs_reply_bytes(req, value->data, value->size);
}

void ipcfs_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_text value = { 0 };
	int err = value_of(fs, ipcfs_node_at(&fs->nodes, ino), name, &value);

	if (err)
		ipcfs_reply_error(req, err);
	else
		reply_value(req, &value, size);
	ipcfs_text_free(&value);
}

void ipcfs_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_text value = { 0 }, names = { 0 };
	int err = value_of(fs, ipcfs_node_at(&fs->nodes, ino), IPCFS_ACL_ATTRIBUTE, &value);

	if (!err)
		err = ipcfs_text_add(&names, IPCFS_ACL_ATTRIBUTE, sizeof(IPCFS_ACL_ATTRIBUTE));
	if (err && err != -ENODATA)
		ipcfs_reply_error(req, err);
	else
		reply_value(req, &names, size);
	ipcfs_text_free(&value);
	ipcfs_text_free(&names);
}

static void set_base(struct ipcfs_acl *acl, mode_t mode)
{
	ipcfs_acl_entry(acl, IPCFS_ACL_USER_OBJ)->perm = mode >> 6 & 6;
	ipcfs_acl_entry(acl, IPCFS_ACL_GROUP_OBJ)->perm = mode >> 3 & 6;
	ipcfs_acl_entry(acl, IPCFS_ACL_OTHER)->perm = mode & 6;
}

/*
 * setfacl(1) begins with the mode that it sees, where there is no list yet. Of a file that shows
 * another than the object's it must not become the object's.
 */
static int correct_base(const struct ipcfs_node *node, struct ipcfs_acl *acl)
{
	const struct ipcfs_object *object = node->key.object;
	IPCFS_ACL_AUTO now = { 0 };
	struct ipcfs_info info;
	int err;

	if (shows_mode(node))
		return 0;
	err = object->class->glance(object->space, &object->ref, &info);
	if (!err)
		err = ipcfs_permission_acl(object->space, object->class, &object->ref, &info.perm,
					   &now);
	if (!err && !now.count)
		set_base(acl, info.perm.mode);
	return err;
}

static int set_list(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_acl *acl)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	int err = correct_base(node, acl);

	if (!err)
		err = ipcfs_caller_load(&caller);
	if (!err)
		err = ipcfs_permission_set_acl(node->key.object, acl, &caller);
	ipcfs_caller_free(&caller);
	ipcfs_decided_node(req, IPCFS_AUDIT_SETFACL, node, 0, err, IPCFS_DECIDED_BY_KERNEL);
	if (!err)
		ipcfs_room_recheck(fs->room,
				   node->key.object); /* waiters may have lost their right */
	return err == -ENOENT ? -ESTALE : err;
}

void ipcfs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		       size_t size, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	IPCFS_ACL_AUTO acl = { 0 };
	int err = check_name(node, name);

	(void)flags; /* a mode is always there to be replaced */
	if (!err && has_no_list(fs, node))
		err = -EPERM;
	if (!err)
		err = ipcfs_acl_parse(&acl, value, size);
	if (!err)
		err = set_list(req, node, &acl);
	ipcfs_reply_error(req, err);
}

/* What remains is what those had who know of no list: nobody gets more by it. */
static int remove_list(fuse_req_t req, const struct ipcfs_node *node)
{
	struct ipcfs_acl_entry entries[] = {
		{ .tag = IPCFS_ACL_USER_OBJ },
		{ .tag = IPCFS_ACL_GROUP_OBJ },
		{ .tag = IPCFS_ACL_OTHER },
	};
	struct ipcfs_acl minimal = { 3, entries };
	IPCFS_ACL_AUTO acl = { 0 };
	int err = shown_list(node, &acl);

	if (err || !acl.count)
		return err;
	set_base(&minimal, ipcfs_acl_plain_mode(&acl));
	return set_list(req, node, &minimal);
}

void ipcfs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	const struct ipcfs_node *node = ipcfs_node_at(&ipcfs_of(req)->nodes, ino);
	int err = check_name(node, name);

	if (!err)
		err = remove_list(req, node);
	/* setfacl -b takes a directory's default list away, of which there is none */
	ipcfs_reply_error(req, err == -EOPNOTSUPP ? -ENODATA : err);
}
