/* SPDX-License-Identifier: MIT */
/*
 * The file `users` of an object: a line for each process that has the object open, mapped or
 * attached, through the mount or without it, and that the reader may look into.
 */
#ifndef IPCFS_USERS_H
#define IPCFS_USERS_H

#include "fs/request/file.h"

/*
 * Answers a read with the next lines, as many as are ready in a few ms. An open file looks into
 * each process once, and then says whether it could look into all. A process that starts or ends
 * meanwhile may be left out.
 */
void ipcfs_users_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

#endif
