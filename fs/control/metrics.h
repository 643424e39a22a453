/* SPDX-License-Identifier: MIT */
/* The file `metrics`: numbers about a namespace and its daemon, in the text format of Prometheus. */
#ifndef IPCFS_METRICS_H
#define IPCFS_METRICS_H

#include "fs/request/file.h"

/*
 * Answers a read with the next bytes. The text is made once for an open file, with what the opener
 * may know, and then comes end of file. While objects are still being counted, a read that has
 * taken a few ms gives a comment.
 */
void ipcfs_metrics_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

#endif
