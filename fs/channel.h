/* SPDX-License-Identifier: MIT */
/* The channel files (msg, lines, tagged, packets, drain): how reads and writes become messages. */
#ifndef IPCFS_CHANNEL_H
#define IPCFS_CHANNEL_H

#include "open.h"

/*
 * Open the queue for what the file is opened for. -EPERM: this file can't do that (reading prio/N,
 * writing drain); -EINVAL: writing type/-N; -EROFS: receiving on a read-only mount; -EACCES; -ESTALE:
 * the queue is gone. On failure nothing is left open.
 */
int ipcfs_channel_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open);
/* The last close: what nobody's close has sent is sent, the queue is closed. */
void ipcfs_channel_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open);

/* Requests; each is answered here, now or later. */
void ipcfs_channel_read(fuse_req_t req, struct ipcfs_open *open, size_t size, int flags);
void ipcfs_channel_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			 int flags, uint64_t owner);
void ipcfs_channel_flush(fuse_req_t req, struct ipcfs_open *open, uint64_t owner);
void ipcfs_channel_poll(fuse_req_t req, struct ipcfs_open *open, unsigned events,
			struct fuse_pollhandle *handle);

/* How messages stand in this file: an enum ipcfs_framing, or -1 where they stand alone. */
int ipcfs_channel_framing(const struct ipcfs_node *node);

#endif
