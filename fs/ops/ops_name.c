/* SPDX-License-Identifier: MIT */
/* Names and attributes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/ops/echo_ops.h"
#include "fs/ops/getattr.h"
#include "fs/ops/ops.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/tree/attr.h"
#include "fs/tree/tree.h"

/* Checks that the caller may look up names and attributes: peek/ requires read permission. */
static int check_peek(fuse_req_t req, const struct ipcfs_node *node)
{
	if (!ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_READERS_ONLY))
		return 0;
	return ipcfs_judge_node(req, IPCFS_AUDIT_STAT, node, IPCFS_WANT_READ);
}

void ipcfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *directory = ipcfs_node_at(&fs->nodes, parent);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	struct ipcfs_entry found;
	int err;

	if (ipcfs_echo_lookup(req, directory, name))
		return;
	err = directory ? check_peek(req, directory) : -ESTALE;
	if (!err)
		err = ipcfs_tree_lookup(fs, directory, name, &caller, &found);
	ipcfs_caller_free(&caller);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_entry(req, &found);
}

void ipcfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	ipcfs_node_forget(&ipcfs_of(req)->nodes, ino, count);
	fuse_reply_none(req);
}

void ipcfs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		ipcfs_node_forget(&ipcfs_of(req)->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void ipcfs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct stat st;
	int err;

	(void)fi;
	err = node ? check_peek(req, node) : -ESTALE;
	if (!err)
		err = ipcfs_getattr(req, node, &st);
	/* a kernel that checks modes asks again before an open: see ipcfs_reply_fill_entry */
	if (!err && fs->kernel_checks && ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_SIZELESS) &&
	    ipcfs_caller_opens(fuse_req_ctx(req)->pid))
		st.st_size = 1;
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_attr(req, node, &st);
}

void ipcfs_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_text target = { 0 };
	int err;

	err = node ? ipcfs_tree_link(fs, node, fuse_req_ctx(req)->pid, &target) : -ESTALE;
	if (!err)
		err = ipcfs_text_add(&target, "", 1);
	if (err)
		ipcfs_reply_error(req, err);
	else
		fuse_reply_readlink(req, target.data);
	ipcfs_text_free(&target);
}

/* Checks that the shown mode, or a capability, allows the caller what it wants. */
static int check_shown_mode(fuse_req_t req, const struct stat *st, unsigned want)
{
	const struct ipcfs_perm perm = {
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = st->st_mode & 0777,
	};
	const struct ipcfs_question question = {
		.rule = IPCFS_RULE_FILE,
		.perm = &perm,
		.want = want,
	};
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	enum ipcfs_reason reason;
	int err = ipcfs_access(&question, &caller, ipcfs_caller_load, &reason);

	ipcfs_caller_free(&caller);
	return err;
}

/* Checks that the file can be used so, and that the object's permissions allow it to the caller. */
static int check_object(fuse_req_t req, const struct ipcfs_node *node, unsigned want)
{
	const struct ipcfs_object *object = ipcfs_node_object(ipcfs_of(req), node);

	if (~ipcfs_attr_mask(object->class, &node->key) & 0111 * want)
		return -EACCES;
	if (ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_READERS_WRITE))
		want = IPCFS_WANT_READ;
	return ipcfs_judge_node(req, IPCFS_AUDIT_ACCESS, node, want);
}

/* access(2) and chdir(2) */
void ipcfs_op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct ipcfs_node *node = ipcfs_node_at(&ipcfs_of(req)->nodes, ino);
	unsigned want = (mask & R_OK ? IPCFS_WANT_READ : 0) | (mask & W_OK ? IPCFS_WANT_WRITE : 0);
	struct stat st;
	int err;

	err = node ? ipcfs_getattr(req, node, &st) : -ESTALE;
	if (!err && (mask & X_OK) && S_ISREG(st.st_mode))
		err = -EACCES;
	/* a user may mount on each directory that access(2) calls writable: see fusermount3 */
	if (!err && (mask & W_OK) && S_ISDIR(st.st_mode) && node->key.kind != IPCFS_NODE_CLASS)
		err = -EACCES; /* nobody can make anything in it */
	if (!err && want) {
		const struct ipcfs_object *object = ipcfs_node_object(ipcfs_of(req), node);

		if (object && !ipcfs_attr_has_own_mode(object->class, node->key.kind))
			err = check_object(req, node, want);
		else
			err = check_shown_mode(req, &st, want);
	}
	ipcfs_reply_error(req, err);
}

void ipcfs_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX };

	(void)ino;
	fuse_reply_statfs(req, &st);
}
