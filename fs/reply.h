/* SPDX-License-Identifier: MIT */
/*
 * Every reply that is more than an error number leaves through here. That a reply can't be delivered (the caller
 * was killed, the mount is gone) is no error for who sends it, but where a function says so.
 */
#ifndef IPCFS_REPLY_H
#define IPCFS_REPLY_H

#include "open.h"
#include "tree.h"

/* `err` is 0 or negative. */
void ipcfs_reply_error(fuse_req_t req, int err);

/* Bytes of a read. Negative: the mount is gone, and nobody gets them. */
int ipcfs_reply_bytes(fuse_req_t req, const void *bytes, size_t size);

/* The number of bytes written. */
void ipcfs_reply_count(fuse_req_t req, size_t count);

/* A name that was looked up. */
void ipcfs_reply_entry(fuse_req_t req, const struct ipcfs_found *found);

/* An object that was made under this name, which may be another spelling of its own. */
void ipcfs_reply_made(fuse_req_t req, const struct ipcfs_found *found, const char *name);
void ipcfs_reply_attr(fuse_req_t req, const struct ipcfs_node *node, const struct stat *st);

/*
 * A file that was opened. `flags` are FOPEN_* bits. -ENOENT: the opener is gone, no RELEASE will come.
 */
int ipcfs_reply_open(fuse_req_t req, const struct ipcfs_open *open, unsigned flags);

/* Fill the entry of one directory entry as lookup would. `brief`: it may be kept for a moment. */
void ipcfs_reply_fill_entry(struct ipcfs_filesystem *fs, const struct ipcfs_found *found,
			    bool brief, struct fuse_entry_param *entry);

/* FOPEN_* of <linux/fuse.h>; the library has no names for all of them. */
enum ipcfs_open_flags {
	IPCFS_OPEN_DIRECT_IO = 1 << 0,
	IPCFS_OPEN_NONSEEKABLE = 1 << 2,
	IPCFS_OPEN_STREAM = 1 << 4,	 /* reads of one open file don't wait for each other */
	IPCFS_OPEN_NOFLUSH = 1 << 5,	 /* close(2) has nothing to say */
	IPCFS_OPEN_PASSTHROUGH = 1 << 7, /* the kernel uses open->backing in our place */
};

#endif
