/* SPDX-License-Identifier: MIT */
/* Names and attributes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "attr.h"
#include "caller.h"
#include "decision.h"
#include "ops.h"
#include "permission.h"
#include "reply.h"
#include "tree.h"

int ipcfs_op_allowed(fuse_req_t req, const struct ipcfs_object *object, unsigned want,
		     const char **reason)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_info info;
	enum ipcfs_reason by = IPCFS_BY_NOTHING;
	int err;

	err = object->class->glance(object->space, &object->ref, &info);
	if (!err)
		err = ipcfs_permission_check(object->space, object->class, &object->ref, &info.perm,
					     -1, want, &caller, ipcfs_caller_load, &by);
	if (reason)
		*reason = ipcfs_reason_name(by);
	ipcfs_caller_free(&caller);
	return err == -ENOENT ? -ESTALE : err;
}

int ipcfs_op_judge(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
		   unsigned want)
{
	const char *reason;
	int err = ipcfs_op_allowed(req, node->key.object, want, &reason);

	ipcfs_decided_node(req, op, node, want, err, reason);
	return err;
}

/* Which messages are queued is the business of those who may receive them. */
static int check_peek(fuse_req_t req, const struct ipcfs_node *node)
{
	if (node->key.kind != IPCFS_NODE_PEEKS && node->key.kind != IPCFS_NODE_PEEK)
		return 0;
	return ipcfs_op_judge(req, IPCFS_AUDIT_STAT, node, IPCFS_WANT_READ);
}

void ipcfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_node *directory = ipcfs_node_at(&fs->nodes, parent);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_found found;
	int err;

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
		err = ipcfs_attr_look(req, node, &st);
	/* a kernel that checks asks again before it opens, and would take the size for the end of file: see ipcfs_reply_fill_entry */
	if (!err && fs->kernel_checks && ipcfs_node_is_sizeless(node) &&
	    ipcfs_caller_opens(fuse_req_ctx(req)->pid))
		st.st_size = 1;
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_attr(req, node, &st);
}

void ipcfs_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const struct ipcfs_node *node = ipcfs_node_at(&ipcfs_of(req)->nodes, ino);
	struct ipcfs_text target = { 0 };
	int err;

	err = node ? ipcfs_tree_link(node, fuse_req_ctx(req)->pid, &target) : -ESTALE;
	if (!err)
		err = ipcfs_text_add(&target, "", 1);
	if (err)
		ipcfs_reply_error(req, err);
	else
		fuse_reply_readlink(req, target.data);
	ipcfs_text_free(&target);
}

/* access(2), chdir(2): as the mode bits that stat shows say, or a capability. */
void ipcfs_op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	unsigned want = (mask & R_OK ? IPCFS_WANT_READ : 0) | (mask & W_OK ? IPCFS_WANT_WRITE : 0);
	struct stat st;
	int err;

	err = node ? ipcfs_attr_look(req, node, &st) : -ESTALE;
	if (!err && (mask & X_OK) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		err = -EACCES;
	if (!err && want && node->key.object && node->key.kind != IPCFS_NODE_STATUS &&
	    node->key.kind != IPCFS_NODE_MAX_BYTES) {
		if (~ipcfs_attr_mask(&node->key) & 0111 * want)
			err = -EACCES;
		else
			err = ipcfs_op_judge(req, IPCFS_AUDIT_ACCESS, node, want);
	} else if (!err && want) {
		struct ipcfs_perm perm = { .uid = st.st_uid,
					   .gid = st.st_gid,
					   .mode = st.st_mode & 0777 };

		const struct ipcfs_question question = {
			.rule = IPCFS_RULE_FILE,
			.perm = &perm,
			.want = want,
		};
		enum ipcfs_reason reason;

		err = ipcfs_access(&question, &caller, ipcfs_caller_load, &reason);
		ipcfs_caller_free(&caller);
	}
	ipcfs_reply_error(req, err);
}

void ipcfs_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX };

	(void)ino;
	fuse_reply_statfs(req, &st);
}

void ipcfs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	struct ipcfs_listing *listing;
	struct ipcfs_open *open;
	int err = 0;

	if (!node)
		err = -ESTALE;
	else if (node->key.object)
		err = ipcfs_op_judge(req, IPCFS_AUDIT_LIST, node, IPCFS_WANT_READ);
	if (!err)
		err = ipcfs_open_new(fs, req, node, fi->flags, &open);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	listing = calloc(1, sizeof(*listing));
	open->listing = listing;
	err = listing ? ipcfs_tree_list(fs, node, &caller, listing) : -ENOMEM;
	ipcfs_caller_free(&caller);
	if (!err) {
		fi->fh = open->index;
		open->opened = true;
		if (fuse_reply_open(req, fi) != -ENOENT)
			return;
	} else {
		ipcfs_reply_error(req, err);
	}
	ipcfs_open_free(fs, open);
}

/* One more entry behind the `used` bytes of page: its size there, more than fits where it does not fit. */
struct page {
	fuse_req_t req;
	char *bytes;
	size_t size, used;
};

static size_t add_plain(struct page *page, const char *name,
			const struct ipcfs_listing_entry *entry, off_t next)
{
	struct stat st = { .st_ino = entry->ino, .st_mode = entry->type };

	return fuse_add_direntry(page->req, page->bytes + page->used, page->size - page->used, name,
				 &st, next);
}

/* With what lookup would tell, so that `ls -l` need not ask for every object. */
static size_t add_plus(struct page *page, const struct ipcfs_node *directory, const char *name,
		       const struct ipcfs_listing *listing, const struct ipcfs_listing_entry *entry,
		       off_t next)
{
	struct ipcfs_filesystem *fs = ipcfs_of(page->req);
	struct fuse_entry_param param = {
		.attr = { .st_ino = entry->ino, .st_mode = entry->type },
	};
	size_t room = page->size - page->used, size;
	struct ipcfs_found found = { 0 };

	if (entry->has_info && directory->key.kind == IPCFS_NODE_CLASS) {
		const struct ipcfs_info *infos = (const void *)listing->infos.data;

		found.info = infos[entry->info];
		if (ipcfs_tree_object(fs, directory, &found.info, &found.node) == 0)
			ipcfs_reply_fill_entry(fs, &found, true, &param);
	}
	size = fuse_add_direntry_plus(page->req, page->bytes + page->used, room, name, &param,
				      next);
	if (size > room && param.ino)
		ipcfs_node_forget(&fs->nodes, param.ino, 1);
	return size;
}

static void read_directory(fuse_req_t req, size_t size, off_t offset,
			   const struct fuse_file_info *fi, bool plus)
{
	struct ipcfs_open *open = ipcfs_open_at(ipcfs_of(req), fi->fh);
	const struct ipcfs_listing *listing = open->listing;
	const struct ipcfs_listing_entry *entries = (const void *)listing->entries.data;
	struct page page = { .req = req, .size = size };
	int err = ipcfs_open_admitted(open, fuse_req_ctx(req)->pid);

	if (!err) {
		page.bytes = malloc(size);
		err = page.bytes ? 0 : -ENOMEM;
	}
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	for (size_t i = (size_t)offset; i < ipcfs_listing_count(listing); i++) {
		const char *name = listing->names.data + entries[i].name;
		size_t used = plus ? add_plus(&page, open->node, name, listing, &entries[i],
					      (off_t)i + 1)
				   : add_plain(&page, name, &entries[i], (off_t)i + 1);

		if (used > page.size - page.used)
			break;
		page.used += used;
	}
	ipcfs_reply_bytes(req, page.bytes, page.used);
	free(page.bytes);
}

void ipcfs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	(void)ino;
	read_directory(req, size, offset, fi, false);
}

void ipcfs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *fi)
{
	(void)ino;
	read_directory(req, size, offset, fi, true);
}

void ipcfs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);

	(void)ino;
	ipcfs_open_free(fs, ipcfs_open_at(fs, fi->fh));
	ipcfs_reply_error(req, 0);
}
