/* SPDX-License-Identifier: MIT */
/*
 * Locks on `data`, of fcntl(2) and flock(2). FUSE has the daemon serve either all locks on regular
 * files or none. The daemon serves them, so that it can refuse those that would exclude nobody. The
 * kernel itself serves locks on directories.
 */
#ifndef IPCFS_SEGMENT_LOCK_H
#define IPCFS_SEGMENT_LOCK_H

#include "fs/request/file_ops.h"

/* For struct ipcfs_file_ops. */
void ipcfs_segment_lock(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_lock *wanted,
			enum ipcfs_lock_request request);
void ipcfs_segment_flush(fuse_req_t req, struct ipcfs_file *file, uint64_t owner);

/* Drops the locks that were taken by an open file. */
void ipcfs_segment_unlock(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/* Answers the requests that wait for locks on objects of a space with EIDRM. */
void ipcfs_segment_locks_space_ended(const struct ipcfs_space *space);

/* Answers every request that waits for a lock with ENOTCONN, now and from now on. */
void ipcfs_segment_locks_stop(void);

#endif
