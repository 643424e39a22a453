/* SPDX-License-Identifier: MIT */
/* Open files: channels have messages, segments memory, the others text. */
#include <errno.h>
#include <poll.h>

#include "channel.h"
#include "control.h"
#include "decision.h"
#include "ops.h"
#include "reply.h"
#include "segment.h"
#include "semaphore.h"

static unsigned open_flags(const struct ipcfs_open *open)
{
	unsigned kind = open->node->key.kind, flags = IPCFS_OPEN_DIRECT_IO;

	if (ipcfs_node_is_segment(open->node))
		return ipcfs_segment_flags(open);
	if (ipcfs_node_is_channel(open->node) || kind == IPCFS_NODE_CREATE)
		flags |= IPCFS_OPEN_NONSEEKABLE | IPCFS_OPEN_STREAM;
	/* only where a close can complete a message */
	if (!open->writes || kind == IPCFS_NODE_PACKETS ||
	    !(ipcfs_node_is_channel(open->node) || kind == IPCFS_NODE_VALUES))
		flags |= IPCFS_OPEN_NOFLUSH;
	return flags;
}

static void release(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	if (ipcfs_node_is_channel(open->node))
		ipcfs_channel_release(fs, open);
	else if (ipcfs_node_is_segment(open->node))
		ipcfs_segment_release(fs, open);
	else if (ipcfs_node_is_semaphore(open->node))
		ipcfs_semaphore_release(fs, open);
	ipcfs_open_free(fs, open);
}

void ipcfs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_open *open;
	int err;

	err = node ? ipcfs_open_new(fs, req, node, fi->flags, &open) : -ESTALE;
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	if (ipcfs_node_is_channel(node))
		err = ipcfs_channel_open(fs, open);
	else if (ipcfs_node_is_segment(node))
		err = ipcfs_segment_open(fs, open, fi->flags);
	else if (ipcfs_node_is_semaphore(node))
		err = ipcfs_semaphore_open(fs, open);
	else
		err = ipcfs_control_open(req, open);
	ipcfs_decided_open(fs, open, err);
	open->opened = true;
	if (err) {
		ipcfs_open_free(fs, open);
		ipcfs_reply_error(req, err);
	} else if (open->writes && ipcfs_node_is_hold(node)) {
		ipcfs_hold_open(req, open, fi->flags);
	} else if (ipcfs_reply_open(req, open, open_flags(open)) == -ENOENT) {
		release(fs, open);
	}
}

/* False: its opener is no longer on the whitelist, and the error was replied. */
static bool is_admitted(fuse_req_t req, struct ipcfs_open *open)
{
	int err = ipcfs_open_admitted(open, fuse_req_ctx(req)->pid);

	if (err)
		ipcfs_reply_error(req, err);
	return !err;
}

void ipcfs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	struct ipcfs_open *open = ipcfs_open_at(ipcfs_of(req), fi->fh);

	(void)ino;
	if (!is_admitted(req, open))
		return;
	if (size == 0)
		ipcfs_reply_bytes(req, NULL, 0);
	else if (fi->lock_owner == 0) /* for the page cache, which would keep it */
		ipcfs_reply_error(req, -EINVAL);
	else if (ipcfs_node_is_channel(open->node))
		ipcfs_channel_read(req, open, size, fi->flags);
	else if (ipcfs_node_is_segment(open->node))
		ipcfs_segment_read(req, open, size, offset);
	else
		ipcfs_control_read(req, open, size, offset);
}

void ipcfs_op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct ipcfs_open *open = ipcfs_open_at(ipcfs_of(req), fi->fh);

	(void)ino;
	if (!is_admitted(req, open))
		return;
	if (ipcfs_node_is_channel(open->node))
		ipcfs_channel_write(req, open, bytes, size, fi->flags, fi->lock_owner);
	else if (ipcfs_node_is_segment(open->node))
		ipcfs_segment_write(req, open, bytes, size, offset, fi->flags);
	else if (ipcfs_node_is_semaphore(open->node))
		ipcfs_semaphore_write(req, open, bytes, size, fi->flags, fi->lock_owner);
	else
		ipcfs_control_write(req, open, bytes, size);
}

void ipcfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_open *open = ipcfs_open_at(ipcfs_of(req), fi->fh);

	(void)ino;
	if (ipcfs_node_is_channel(open->node))
		ipcfs_channel_flush(req, open, fi->lock_owner);
	else if (open->node->key.kind == IPCFS_NODE_VALUES)
		ipcfs_semaphore_flush(req, open, fi->lock_owner);
	else
		ipcfs_reply_error(req, 0);
}

void ipcfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);

	(void)ino;
	release(fs, ipcfs_open_at(fs, fi->fh));
	ipcfs_reply_error(req, 0);
}

void ipcfs_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		   struct fuse_pollhandle *handle)
{
	struct ipcfs_open *open = ipcfs_open_at(ipcfs_of(req), fi->fh);

	(void)ino;
	if (ipcfs_node_is_channel(open->node)) {
		ipcfs_channel_poll(req, open, fi->poll_events, handle);
		return;
	}
	if (handle)
		fuse_pollhandle_destroy(handle);
	fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}
