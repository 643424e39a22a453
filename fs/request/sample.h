/* SPDX-License-Identifier: MIT */
/*
 * Reading files whose text is made when they are read. A read at offset 0 makes the text and
 * keeps it in the open file. A read at another offset gives a part of that text.
 */
#ifndef IPCFS_SAMPLE_H
#define IPCFS_SAMPLE_H

#include "fs/request/file.h"

/* Appends the text of the file as it is now. Returns 0, or a negative errno for the reader. */
typedef int ipcfs_sample_text(fuse_req_t req, struct ipcfs_file *file, struct ipcfs_text *out);

/* Answers a read. The reader has been judged already. */
void ipcfs_sample_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io,
		       ipcfs_sample_text *text);

#endif
