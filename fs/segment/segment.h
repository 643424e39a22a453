/* SPDX-License-Identifier: MIT */
/*
 * The file data of segments: its bytes are the shared memory.
 * Called by ops/, through the table of operations, and for truncate(2).
 * Calls request/ and below. Knows neither queues nor semaphores.
 */
#ifndef IPCFS_SEGMENT_H
#define IPCFS_SEGMENT_H

#include "fs/request/file_ops.h"

/* An open for writing with O_TRUNC sets the size of a resizable segment to 0. */
extern const struct ipcfs_file_ops ipcfs_segment_file_ops;

/*
 * Sets the size of a segment in bytes: as the opener of `file` may, or, if `file` is NULL, as the
 * request's caller may. The object is that of `node`.
 * -EPERM: the segment has a fixed size. Without `file`, that same size is no error.
 * -EINVAL: the file is not open for writing.
 * -ENOENT: the segment is gone.
 * -EACCES: the opener or caller may not write.
 * -EFBIG: no segment can have this size.
 */
int ipcfs_segment_resize(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_file *file,
			 off_t size);

#endif
