/* SPDX-License-Identifier: MIT */
/*
 * Replies to requests. A reply can fail, if the caller was killed or the mount is gone. The
 * functions ignore this, unless they say otherwise.
 */
#ifndef IPCFS_REPLY_H
#define IPCFS_REPLY_H

#include "fs/request/file.h"
#include "fs/tree/tree.h"

/*
 * Answers with an error, a negative errno, or with success, 0. After -ERESTART of long_work.h it
 * does not answer: the request is handled again.
 */
void ipcfs_reply_error(fuse_req_t req, int err);

/* Answers a read. Returns a negative errno if the reader has not got the bytes. */
int ipcfs_reply_bytes(fuse_req_t req, const void *bytes, size_t size);

/* Answers a write with an error, a negative errno, or, if that is 0, with the bytes written. */
void ipcfs_reply_write(fuse_req_t req, int err, size_t written);

/* Answers a lookup, or mkdir. */
void ipcfs_reply_entry(fuse_req_t req, const struct ipcfs_entry *found);

/* Answers with the attributes of a node. */
void ipcfs_reply_attr(fuse_req_t req, const struct ipcfs_node *node, const struct stat *st);

/*
 * Answers an open. `flags` are IPCFS_FOPEN_*, or'ed.
 * -ENOENT: the open was interrupted, and the kernel will send no RELEASE.
 */
int ipcfs_reply_open(fuse_req_t req, const struct ipcfs_file *file, unsigned flags);

/*
 * Fills *entry with the answer to a lookup. `listed`: the entry answers readdirplus, and the kernel
 * may keep its attributes for a moment.
 */
void ipcfs_reply_fill_entry(struct ipcfs_filesystem *fs, const struct ipcfs_entry *found,
			    bool listed, struct fuse_entry_param *entry);

/* FOPEN_* of <linux/fuse.h>. Not all have a name in libfuse. */
enum ipcfs_fopen_flags {
	IPCFS_FOPEN_DIRECT_IO = 1 << 0,
	IPCFS_FOPEN_NONSEEKABLE = 1 << 2,
	IPCFS_FOPEN_STREAM = 1 << 4,	  /* reads of one open file don't wait for each other */
	IPCFS_FOPEN_NOFLUSH = 1 << 5,	  /* close(2) sends no FLUSH */
	IPCFS_FOPEN_PASSTHROUGH = 1 << 7, /* the kernel uses file->segment.backing itself */
};

#endif
