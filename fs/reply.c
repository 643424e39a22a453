/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"

#define FOREVER 86400.0 /* s: what never changes */
#define MADE 1.0	/* s: a name that is to be another spelling's link */
#define BRIEF 0.05	/* s: long enough for `ls -l` to use what readdir told */

void ipcfs_reply_error(fuse_req_t req, int err)
{
	fuse_reply_err(req, -err);
}

int ipcfs_reply_bytes(fuse_req_t req, const void *bytes, size_t size)
{
	return fuse_reply_buf(req, bytes, size);
}

void ipcfs_reply_count(fuse_req_t req, size_t count)
{
	fuse_reply_write(req, count);
}

static double attr_timeout(const struct ipcfs_node *node)
{
	return node->key.object || ipcfs_node_is_sizeless(node) ? 0 : FOREVER;
}

/* Does its name lead every caller there? Of namespaces and processes each sees but its own. */
static bool is_for_all(const struct ipcfs_node *node)
{
	return node->key.kind != IPCFS_NODE_TREE && node->key.kind != IPCFS_NODE_PROCESS;
}

void ipcfs_reply_fill_entry(struct ipcfs_filesystem *fs, const struct ipcfs_found *found,
			    bool brief, struct fuse_entry_param *entry)
{
	const struct ipcfs_node *node = found->node;

	*entry = (struct fuse_entry_param){
		.ino = node->index,
		.generation = ipcfs_table_generation(&fs->nodes.table, node->index),
	};
	if (node->key.object) {
		ipcfs_attr_fill(&node->key, &found->info, &entry->attr);
		if (brief && ipcfs_gate_may_share(&fs->gate))
			entry->attr_timeout = entry->entry_timeout = BRIEF;
	} else {
		ipcfs_attr_fixed(fs, node, &entry->attr);
		entry->attr_timeout = attr_timeout(node);
		entry->entry_timeout = is_for_all(node) ? entry->attr_timeout : 0;
	}
	/*
	 * The kernel's sendfile(2) goes through the page cache and would see the end of file at size 0,
	 * without asking. So it asks, is refused (ipcfs_op_read), and its caller reads. stat(2) asks again.
	 */
	if (ipcfs_node_is_sizeless(node) || node->key.kind == IPCFS_NODE_STATUS)
		entry->attr.st_size = 1;
}

void ipcfs_reply_entry(fuse_req_t req, const struct ipcfs_found *found)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct fuse_entry_param entry;

	ipcfs_reply_fill_entry(fs, found, false, &entry);
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		ipcfs_node_forget(&fs->nodes, entry.ino, 1);
}

void ipcfs_reply_made(fuse_req_t req, const struct ipcfs_found *found, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct fuse_entry_param entry;

	ipcfs_reply_fill_entry(fs, found, false, &entry);
	/* `mkdir -m` changes the mode of what it made, by the name it gave, which must not be a link yet */
	if (strcmp(name, found->info.ref.name) != 0 && ipcfs_gate_may_share(&fs->gate))
		entry.entry_timeout = MADE;
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		ipcfs_node_forget(&fs->nodes, entry.ino, 1);
}

void ipcfs_reply_attr(fuse_req_t req, const struct ipcfs_node *node, const struct stat *st)
{
	fuse_reply_attr(req, st, attr_timeout(node));
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
