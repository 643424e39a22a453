/* SPDX-License-Identifier: MIT */
/* The data file of a segment: its bytes are the memory. */
#ifndef IPCFS_SEGMENT_H
#define IPCFS_SEGMENT_H

#include "open.h"

static inline bool ipcfs_node_is_segment(const struct ipcfs_node *node)
{
	return node->key.kind == IPCFS_NODE_DATA;
}

/*
 * Open the memory for what the file is opened for; O_TRUNC in `flags` empties what can be resized.
 * -EACCES; -ESTALE: the segment is gone. On failure nothing is left open.
 */
int ipcfs_segment_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open, int flags);
void ipcfs_segment_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open);

/* The open's answer: IPCFS_OPEN_* bits for reads and writes to come here, or to go past us. */
unsigned ipcfs_segment_flags(const struct ipcfs_open *open);

/* Requests; each is answered here. */
void ipcfs_segment_read(fuse_req_t req, struct ipcfs_open *open, size_t size, off_t offset);
void ipcfs_segment_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			 off_t offset, int flags);

/*
 * truncate(2), as the opener of `open`, or as the caller where that is NULL. -EPERM: it has a fixed
 * size; -EACCES; -EFBIG; -ENOENT: it is gone.
 */
int ipcfs_segment_resize(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_open *open,
			 off_t size);

#endif
