/* SPDX-License-Identifier: MIT */
#include "fs/ops/getattr.h"

#include <errno.h>

#include "fs/ops/file_groups.h"
#include "fs/tree/attr.h"
#include "fs/tree/peek.h"

/* Fills *st for a node with an open file whose object was removed. */
static void attr_removed(struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
			 struct stat *st)
{
	struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_info info = { .ref = object->ref };

	if (node->key.kind == IPCFS_NODE_DATA) /* the segment may live on without a name */
		ipcfs_object_fstat(&fs->objects, object, &info);
	ipcfs_attr_fill(fs, &node->key, &info, st);
	st->st_nlink = 0;
}

int ipcfs_getattr_changed(fuse_req_t req, struct ipcfs_node *node, struct stat *st)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	int err = ipcfs_getattr(req, node, st);
	struct ipcfs_info info;

	if (!object || (err != -ENOMEM && err != -EMFILE && err != -ENFILE && err != -ERESTART) ||
	    object->class->stat_brief(object->space, &object->ref, &info))
		return err;
	ipcfs_attr_fill(fs, &node->key, &info, st);
	return 0;
}

int ipcfs_getattr(fuse_req_t req, struct ipcfs_node *node, struct stat *st)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_info info;
	int err;

	if (!object) {
		ipcfs_attr_fixed(fs, node, st);
		return 0;
	}
	if (node->key.kind == IPCFS_NODE_OBJECT)
		err = object->class->stat(object->space, &object->ref, &info);
	else
		err = object->class->stat_brief(object->space, &object->ref, &info);
	if (err == -ENOENT) {
		if (!ipcfs_node_is_open(&fs->nodes, node))
			return -ESTALE;
		attr_removed(fs, node, st);
		return 0;
	}
	if (!err && node->key.kind == IPCFS_NODE_PEEK)
		err = ipcfs_peek_size(fs, &node->key, &info.size);
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	ipcfs_attr_fill(fs, &node->key, &info, st);
	/* `.` of bash reads st_size bytes, and tar wants as many as st_size says */
	if (ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_TEXT_SIZE)) {
		ssize_t size = ipcfs_ops_of(node->key.kind)->size(req, node);

		if (size < 0)
			return (int)size;
		st->st_size = size;
	}
	return 0;
}
