/* SPDX-License-Identifier: MIT */
#include "fs/ops/echo_ops.h"

#include <errno.h>
#include <string.h>

#include "fs/request/reply.h"
#include "fs/tree/tree.h"

/* Returns whether a request for a name of an object is of the process. It is reaped by nobody. */
static bool is_echo(fuse_req_t req, const struct ipcfs_node *directory)
{
	const struct ipcfs_echo *echo = &ipcfs_of(req)->echo;

	return echo->process && fuse_req_ctx(req)->pid == echo->process && directory &&
	       directory->key.kind == IPCFS_NODE_CLASS;
}

/* Replies with an object that is not there. */
static void reply_absent(fuse_req_t req, const struct ipcfs_node *directory, const char *name,
			 struct ipcfs_entry *found)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	int err;

	memset(&found->info, 0, sizeof(found->info));
	found->info.ref.serial = UINT64_MAX;
	found->info.perm.uid = found->info.perm.cuid = fs->uid;
	found->info.perm.mode = 0600;
	memcpy(found->info.ref.name, name, strnlen(name, NAME_MAX));
	err = ipcfs_tree_object(fs, directory, &found->info, name, fs->uid, &found->node);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_entry(req, found);
}

/*
 * A directory that is to be made is not there; one that is to be removed is. With `hide` neither is
 * done, as everybody would be told.
 */
bool ipcfs_echo_lookup(fuse_req_t req, const struct ipcfs_node *directory, const char *name)
{
	struct ipcfs_entry found;

	if (!is_echo(req, directory))
		return false;
	if (atomic_load_explicit(&ipcfs_of(req)->gate.hides, memory_order_relaxed))
		ipcfs_reply_error(req, -EPERM);
	else if (atomic_load(ipcfs_of(req)->echo.makes))
		ipcfs_reply_error(req, -ENOENT);
	else
		reply_absent(req, directory, name, &found);
	return true;
}

/* The kernel gets the object that has the name now, so that it may go on using what it has of it. */
bool ipcfs_echo_mkdir(fuse_req_t req, const struct ipcfs_node *directory, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_entry found;

	if (!is_echo(req, directory))
		return false;
	if (ipcfs_class_at(directory->key.class)
		    ->find(ipcfs_node_space(fs, directory), name, &found.info) ||
	    ipcfs_tree_object(fs, directory, &found.info, name, fs->uid, &found.node))
		reply_absent(req, directory, name, &found);
	else
		ipcfs_reply_entry(req, &found);
	return true;
}

bool ipcfs_echo_rmdir(fuse_req_t req, const struct ipcfs_node *directory)
{
	if (!is_echo(req, directory))
		return false;
	ipcfs_reply_error(req, 0);
	return true;
}
