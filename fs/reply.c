/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>
#include <sys/stat.h>

#include "attr.h"

#define FOREVER 86400.0 /* s: what never changes */
#define BRIEF 0.05	/* s: long enough for `ls -l` to use what readdir told */

void ipcfs_reply_error(fuse_req_t req, int err)
{
	fuse_reply_err(req, -err);
}

void ipcfs_reply_bytes(fuse_req_t req, const void *bytes, size_t size)
{
	fuse_reply_buf(req, bytes, size);
}

void ipcfs_reply_count(fuse_req_t req, size_t count)
{
	fuse_reply_write(req, count);
}

void ipcfs_reply_fill_entry(struct ipcfs_filesystem *fs, const struct ipcfs_found *found, bool brief,
			    struct fuse_entry_param *entry)
{
	const struct ipcfs_node *node = found->node;

	*entry = (struct fuse_entry_param){
		.ino = node->index,
		.generation = ipcfs_table_generation(&fs->nodes.table, node->index),
	};
	if (node->key.object) {
		ipcfs_attr_fill(&node->key, &found->info, &entry->attr);
		if (brief)
			entry->attr_timeout = entry->entry_timeout = BRIEF;
	} else {
		ipcfs_attr_fixed(fs, node, &entry->attr);
		entry->attr_timeout = entry->entry_timeout = FOREVER;
	}
}

void ipcfs_reply_entry(fuse_req_t req, const struct ipcfs_found *found)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct fuse_entry_param entry;

	ipcfs_reply_fill_entry(fs, found, false, &entry);
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		ipcfs_node_forget(&fs->nodes, entry.ino, 1);
}

void ipcfs_reply_attr(fuse_req_t req, const struct ipcfs_node *node, const struct stat *st)
{
	fuse_reply_attr(req, st, node->key.object ? 0 : FOREVER);
}

int ipcfs_reply_open(fuse_req_t req, const struct ipcfs_open *open, unsigned flags)
{
	/* struct fuse_open_out: the library's own reply knows no FOPEN_STREAM */
	struct {
		uint64_t handle;
		uint32_t flags;
		uint32_t backing;
	} out = { .handle = open->index, .flags = flags, .backing = (uint32_t)open->backing };

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
