/* SPDX-License-Identifier: MIT */
/*
 * The files of queues (msg, lines, tagged, packets, records, drain): reads and writes become
 * messages.
 * Called by ops/, through the table of operations.
 * Calls wait/ and below. Knows neither semaphores nor segments.
 */
#ifndef IPCFS_CHANNEL_H
#define IPCFS_CHANNEL_H

#include "fs/queue/framing.h"
#include "fs/request/file_ops.h"

/*
 * Errors of open, beside those of struct ipcfs_file_ops:
 * -EPERM: drain is opened for writing, or a file below prio/N for reading.
 * -EINVAL: a file below type/-N is opened for writing.
 * -EROFS: the mount is read-only, and the file is opened for reading.
 */
extern const struct ipcfs_file_ops ipcfs_channel_file_ops;

/*
 * Returns whether the file still has the rest of a message, or the end of file after a message, to
 * give. Reads give this first, without receiving. Takes the file's lock.
 */
bool ipcfs_channel_has_rest(struct ipcfs_file *file);

/* The read, write and flush of struct ipcfs_file_ops; in channel_read.c and channel_write.c. */
void ipcfs_channel_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);
void ipcfs_channel_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);
void ipcfs_channel_flush(fuse_req_t req, struct ipcfs_file *file, uint64_t owner);

#endif
