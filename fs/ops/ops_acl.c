/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: the access control list, and of an open `lease` how often its message was
 * handed out. Each open of lease has a node of its own (IPCFS_FILE_WRITE_WAITS).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/access/caller.h"
#include "fs/ops/ops.h"
#include "fs/queue/lease.h"
#include "fs/request/audit_event.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/request/tell.h"
#include "fs/tree/attr.h"
#include "fs/tree/permission.h"
#include "fs/wait/waits.h"

#define DELIVERIES_ATTRIBUTE "user.ipcfs.deliveries"

/*
 * Checks that a node can have the extended attribute `name`.
 * -EOPNOTSUPP: the attribute is not the access control list.
 * -EPERM: the node has no object, or is a link.
 * -ESTALE: there is no node.
 */
static int check_name(const struct ipcfs_node *node, const char *name)
{
	if (!node)
		return -ESTALE;
	if (strcmp(name, IPCFS_ACL_ATTRIBUTE) != 0)
		return -EOPNOTSUPP;
	if (!node->key.object || S_ISLNK(ipcfs_attr_type(&node->key)))
		return -EPERM;
	return 0;
}

/* Returns whether stat(2) shows the mode of the object for this file. */
static bool shows_mode(const struct ipcfs_class *class, const struct ipcfs_node *node)
{
	return !ipcfs_attr_has_own_mode(class, node->key.kind) &&
	       ipcfs_attr_mask(class, &node->key) == 0666;
}

static bool readers_write(const struct ipcfs_node *node)
{
	return ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_READERS_WRITE);
}

/* Returns whether a file must show no list to a kernel that checks lists itself. */
static bool has_no_list(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node)
{
	return fs->kernel_checks &&
	       ipcfs_attr_has_own_mode(ipcfs_node_object(fs, node)->class, node->key.kind);
}

/* Returns the object's list, and *info as class->stat_brief fills it. */
static int stored_list(const struct ipcfs_object *object, struct ipcfs_info *info,
		       struct ipcfs_acl *acl)
{
	const struct ipcfs_permission_target target = {
		.space = object->space,
		.class = object->class,
		.ref = &object->ref,
		.perm = &info->perm,
		.handle = -1,
	};
	int err = object->class->stat_brief(object->space, &object->ref, info);

	return err ? err : ipcfs_permission_acl(&target, acl);
}

/*
 * Returns the list as getfacl(1) shows it. If its count is 0, there is only the mode. Each entry
 * of a directory has x, because everybody may search the directory. Of a file that readers may
 * write, each entry with r has w, and no other.
 */
static int shown_list(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct ipcfs_acl *acl)
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_info info;
	int err = stored_list(object, &info, acl);

	for (size_t i = 0; !err && S_ISDIR(ipcfs_attr_type(&node->key)) && i < acl->count; i++)
		acl->entries[i].perm |= 1;
	for (size_t i = 0; !err && readers_write(node) && i < acl->count; i++)
		acl->entries[i].perm = acl->entries[i].perm & 4 ? 6 : 0;
	return err == -ENOENT ? -ESTALE : err;
}

/* Appends how often the message was handed out. -ENODATA: no message is leased by this node. */
static int deliveries_of(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
			 struct ipcfs_text *value)
{
	uint64_t count = 0;

	if (node->key.kind == IPCFS_NODE_LEASE)
		count = ipcfs_lease_deliveries(ipcfs_node_object(fs, node), node->id);
	return count ? ipcfs_text_printf(value, "%" PRIu64, count) : -ENODATA;
}

/* Appends the value of an extended attribute. -ENODATA: the node does not have it. */
static int value_of(struct ipcfs_filesystem *fs, const struct ipcfs_node *node, const char *name,
		    struct ipcfs_text *value)
{
	IPCFS_ACL_AUTO acl = { 0 };
	int err = check_name(node, name);

	if (err == -ESTALE)
		return err;
	if (!strcmp(name, DELIVERIES_ATTRIBUTE))
		return deliveries_of(fs, node, value);
	if (err || has_no_list(fs, node))
		return -ENODATA;
	err = shown_list(fs, node, &acl);
	if (err)
		return err;
	return acl.count ? ipcfs_acl_format(&acl, value) : -ENODATA;
}

/* Answers with a value, or with its size if the capacity is 0: getxattr(2), listxattr(2). */
static void reply_value(fuse_req_t req, const struct ipcfs_text *value, size_t capacity)
{
	if (capacity == 0)
		fuse_reply_xattr(req, value->size);
	else if (capacity < value->size)
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
	if ((!err || err == -ENODATA) && !deliveries_of(fs, ipcfs_node_at(&fs->nodes, ino), &value))
		err = ipcfs_text_add(&names, DELIVERIES_ATTRIBUTE, sizeof(DELIVERIES_ATTRIBUTE));
	if (err && err != -ENODATA)
		ipcfs_reply_error(req, err);
	else
		reply_value(req, &names, size);
	ipcfs_text_free(&value);
	ipcfs_text_free(&names);
}

/* Sets the entries of owner, group and others from a mode. */
static void set_base(const struct ipcfs_acl *acl, mode_t mode)
{
	ipcfs_acl_entry(acl, IPCFS_ACL_USER_OBJ)->perm = mode >> 6 & 6;
	ipcfs_acl_entry(acl, IPCFS_ACL_GROUP_OBJ)->perm = mode >> 3 & 6;
	ipcfs_acl_entry(acl, IPCFS_ACL_OTHER)->perm = mode & 6;
}

/* Fills a list that says what a mode does. Its three entries are the caller's. */
static void set_minimal(struct ipcfs_acl *acl, mode_t mode)
{
	acl->count = 3;
	acl->entries[0] = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_USER_OBJ };
	acl->entries[1] = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_GROUP_OBJ };
	acl->entries[2] = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_OTHER };
	set_base(acl, mode);
}

/* Returns w, 2, if the list has an entry for the same user or group with w, else 0. */
static uint16_t write_of(const struct ipcfs_acl *acl, const struct ipcfs_acl_entry *same)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->entries[i].tag == same->tag && acl->entries[i].id == same->id)
			return acl->entries[i].perm & 2;
	return 0;
}

/*
 * Gives each entry of a new list for a file that readers may write the w of the object's list. In
 * that of the file, w only says that r does.
 */
static void keep_writes(struct ipcfs_acl *acl, const struct ipcfs_acl *now)
{
	const struct ipcfs_acl_entry *old_mask = ipcfs_acl_entry(now, IPCFS_ACL_MASK);
	struct ipcfs_acl_entry *mask = ipcfs_acl_entry(acl, IPCFS_ACL_MASK);
	uint16_t any = 0;

	for (size_t i = 0; i < acl->count; i++) {
		struct ipcfs_acl_entry *entry = &acl->entries[i];

		if (entry == mask)
			continue;
		entry->perm = (entry->perm & 4) | write_of(now, entry);
		if (entry->tag != IPCFS_ACL_USER_OBJ && entry->tag != IPCFS_ACL_OTHER)
			any |= entry->perm & 2;
	}
	if (mask)
		mask->perm = (mask->perm & 4) | (old_mask ? old_mask->perm & 2 : any);
}

/*
 * Corrects the entries of owner, group and others in a new list. If there is no list yet,
 * setfacl(1) takes them from the mode that stat(2) shows. A file that shows only a part of the
 * object's mode must not change the object's mode in this way, nor one that shows w to readers.
 */
static int correct_base(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
			struct ipcfs_acl *acl)
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_acl_entry entries[3];
	struct ipcfs_acl plain = { .entries = entries };
	IPCFS_ACL_AUTO now = { 0 };
	struct ipcfs_info info;
	int err;

	if (shows_mode(object->class, node) && !readers_write(node))
		return 0;
	err = stored_list(object, &info, &now);
	if (err)
		return err;
	set_minimal(&plain, info.perm.mode);
	if (readers_write(node))
		keep_writes(acl, now.count ? &now : &plain);
	else if (!now.count)
		set_base(acl, info.perm.mode);
	return 0;
}

/* Sets the list of the node's object, as the caller of the request. */
static int set_list(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_acl *acl)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	const struct ipcfs_actor actor = ipcfs_actor_of(req);
	int err = ipcfs_caller_load(&caller);
	unsigned act;

	act = ipcfs_events_begin_act(&fs->events);
	if (!err)
		err = ipcfs_permission_set_acl(object, acl, &caller);
	if (!err)
		ipcfs_tell(fs, object, IPCFS_EVENT_CHANGED, &actor, "acl");
	ipcfs_events_end_act(&fs->events, act);
	ipcfs_caller_free(&caller);
	ipcfs_audit_event_node(req, IPCFS_AUDIT_SETFACL, node, 0, err, IPCFS_REASON_KERNEL);
	if (!err)
		ipcfs_waits_recheck(fs->waits, object); /* waiters may have lost their right */
	return err == -ENOENT ? -ESTALE : err;
}

void ipcfs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		       size_t size, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	IPCFS_ACL_AUTO acl = { 0 };
	int err = check_name(node, name);

	(void)flags; /* XATTR_CREATE, XATTR_REPLACE: a mode is always there, and is replaced */
	if (!err && has_no_list(fs, node))
		err = -EPERM;
	if (!err)
		err = ipcfs_acl_parse(&acl, value, size);
	if (!err)
		err = correct_base(fs, node, &acl);
	if (!err)
		err = set_list(req, node, &acl);
	ipcfs_reply_error(req, err == -ENOENT ? -ESTALE : err);
}

/*
 * Removes the list of the node's object. The mode becomes ipcfs_acl_plain_mode: what the list
 * granted to programs that use the object without the mount. Nobody gets more rights.
 */
static int remove_list(fuse_req_t req, const struct ipcfs_node *node)
{
	struct ipcfs_acl_entry entries[3];
	const struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_acl minimal = { .entries = entries };
	IPCFS_ACL_AUTO acl = { 0 };
	struct ipcfs_info info;
	int err = stored_list(ipcfs_node_object(fs, node), &info, &acl);

	if (err || !acl.count)
		return err == -ENOENT ? -ESTALE : err;
	set_minimal(&minimal, ipcfs_acl_plain_mode(&acl));
	return set_list(req, node, &minimal);
}

void ipcfs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	const struct ipcfs_node *node = ipcfs_node_at(&ipcfs_of(req)->nodes, ino);
	int err = check_name(node, name);

	if (!err)
		err = remove_list(req, node);
	/* setfacl -b also removes the default list of a directory, which does not exist */
	ipcfs_reply_error(req, err == -EOPNOTSUPP ? -ENODATA : err);
}
