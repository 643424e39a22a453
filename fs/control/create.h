/* SPDX-License-Identifier: MIT */
/*
 * The file `create`: a line written makes an object. A read gives the path of each object that was
 * made, and a line "error: WORD: why" for each write that was refused, in order.
 */
#ifndef IPCFS_CREATE_H
#define IPCFS_CREATE_H

#include "fs/request/file.h"

/* Answers a read with the lines of what was written to this open file. Each is read once. */
void ipcfs_create_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

/*
 * Makes an object for each line, in order, up to the first line that fails. Returns the number of
 * bytes taken. If the first line fails, returns the error of ipcfs_spec_parse or ipcfs_make, and
 * logs the reason.
 */
ssize_t ipcfs_create_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

#endif
