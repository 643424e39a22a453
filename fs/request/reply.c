/* SPDX-License-Identifier: MIT */
#include "fs/request/reply.h"

#include <errno.h>
#include <sys/stat.h>

#include "fs/base/answered.h"
#include "fs/tree/attr.h"

#define TIMEOUT_FIXED 86400.0 /* s: what never changes */
#define TIMEOUT_LISTED 0.05   /* s: long enough for `ls -l` to need no lookups after readdir */

void ipcfs_reply_error(fuse_req_t req, int err)
{
	if (err != -ERESTART) {
		fuse_reply_err(req, -err);
		return;
	}
	ipcfs_answered_again(fuse_req_interrupted(req));
	fuse_reply_none(req); /* libfuse forgets the request; the kernel gets nothing */
}

int ipcfs_reply_bytes(fuse_req_t req, const void *bytes, size_t size)
{
	return fuse_reply_buf(req, bytes, size);
}

void ipcfs_reply_write(fuse_req_t req, int err, size_t written)
{
	if (err)
		ipcfs_reply_error(req, err);
	else
		fuse_reply_write(req, written);
}

/* Returns how long the kernel may keep the attributes of a node, in seconds. */
static double attr_timeout(const struct ipcfs_node *node)
{
	bool changes = ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_SIZELESS);

	return node->key.object || changes ? 0 : TIMEOUT_FIXED;
}

void ipcfs_reply_fill_entry(struct ipcfs_filesystem *fs, const struct ipcfs_entry *found,
			    bool listed, struct fuse_entry_param *entry)
{
	const struct ipcfs_node *node = found->node;

	*entry = (struct fuse_entry_param){
		.ino = node->id,
		.generation = ipcfs_table_generation(&fs->nodes.table, ipcfs_table_index(node->id)),
	};
	if (node->key.object) {
		ipcfs_attr_fill(fs, &node->key, &found->info, &entry->attr);
		if (listed && ipcfs_gate_may_share(&fs->gate))
			entry->attr_timeout = entry->entry_timeout = TIMEOUT_LISTED;
		if (ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_NAME_STAYS))
			entry->entry_timeout = TIMEOUT_FIXED;
	} else {
		ipcfs_attr_fixed(fs, node, &entry->attr);
		entry->attr_timeout = attr_timeout(node);
		if (!ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_PER_CALLER))
			entry->entry_timeout = entry->attr_timeout;
	}
	/*
	 * sendfile(2) reads through the page cache. At size 0 the kernel would report end of file
	 * without a read. With size 1 it sends a read, which is refused (ipcfs_op_read), and its
	 * caller then uses read(2). stat(2) asks for the attributes again.
	 */
	if (ipcfs_file_kinds[node->key.kind].traits & (IPCFS_FILE_SIZELESS | IPCFS_FILE_TEXT_SIZE))
		entry->attr.st_size = 1;
}

void ipcfs_reply_entry(fuse_req_t req, const struct ipcfs_entry *found)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct fuse_entry_param entry;

	ipcfs_reply_fill_entry(fs, found, false, &entry);
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		ipcfs_node_forget(&fs->nodes, entry.ino, 1);
}

void ipcfs_reply_attr(fuse_req_t req, const struct ipcfs_node *node, const struct stat *st)
{
	fuse_reply_attr(req, st, attr_timeout(node));
}

int ipcfs_reply_open(fuse_req_t req, const struct ipcfs_file *file, unsigned flags)
{
	/* struct fuse_open_out; fuse_reply_open of libfuse knows no FOPEN_STREAM */
	struct {
		uint64_t handle;
		uint32_t flags;
		uint32_t backing;
	} out = { .handle = file->number,
		  .flags = flags,
		  .backing = (uint32_t)file->segment.backing };

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
