/* SPDX-License-Identifier: MIT */
/*
 * The file `objects`: a line of JSON for each object that the reader may see, with the fields of
 * its status.
 */
#ifndef IPCFS_OBJECTS_H
#define IPCFS_OBJECTS_H

#include "fs/request/file.h"

/*
 * Answers a read with the next lines, as many as are ready in a few ms. The lines are made for the
 * caller of the read. An open file gives each object once, and then end of file; an object that was
 * removed meanwhile is left out.
 */
void ipcfs_objects_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

#endif
