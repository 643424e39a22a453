/* SPDX-License-Identifier: MIT */
/*
 * The operations of a group of files, on open files of the group. Each answers its request, at
 * once or later, where its comment says so. A group leaves NULL what it does not need.
 */
#ifndef IPCFS_FILE_OPS_H
#define IPCFS_FILE_OPS_H

#include "fs/base/lock_list.h"
#include "fs/request/file.h"

/* A request for a lock. */
enum ipcfs_lock_request {
	IPCFS_LOCK_TEST, /* who has it? */
	IPCFS_LOCK_TRY,	 /* take it; -EAGAIN: another owner has it */
	IPCFS_LOCK_WAIT, /* take it, waiting for it */
	IPCFS_LOCK_DROP,
};

struct ipcfs_file_ops {
	/*
	 * Opens the object, for the directions of file->reads and file->writes, and judges the
	 * opener. `flags` are those of open(2). After an error nothing is left open.
	 * -EPERM: the file can't be used in these directions.
	 * -EACCES: the opener may not use it.
	 * -ESTALE: the object is gone.
	 */
	int (*open)(fuse_req_t req, struct ipcfs_file *file, int flags);

	/*
	 * Opens what `open` opened, without judging, for a file of a worker that has ended. If
	 * NULL, such a file is stale.
	 */
	int (*reopen)(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

	/*
	 * Takes what the open of a file takes (IPCFS_FILE_OPEN_TAKES), and answers the open, now
	 * or later. Called after `open` succeeded.
	 */
	void (*take)(fuse_req_t req, struct ipcfs_file *file, int flags);

	/*
	 * Returns IPCFS_FOPEN_* for the answer to the open. If NULL, or 0, the traits of the file
	 * decide.
	 */
	unsigned (*fopen_flags)(struct ipcfs_filesystem *fs, const struct ipcfs_file *file);

	/* Answer a read or a write, now or later. Every group has both. */
	void (*read)(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);
	void (*write)(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

	/*
	 * Reserves or frees memory as fallocate(2) does, for a file that is open for writing. If
	 * NULL: -EOPNOTSUPP.
	 */
	int (*allocate)(fuse_req_t req, struct ipcfs_file *file, int flags, off_t offset,
			off_t size);

	/*
	 * Answers fcntl(2) locks and flock(2), now or later. If NULL: -EOPNOTSUPP, since the nodes
	 * of the file come and go, and a lock would exclude nobody.
	 */
	void (*lock)(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_lock *wanted,
		     enum ipcfs_lock_request request);

	/* Answers the close(2) of a process, now or later. If NULL, a close completes nothing. */
	void (*flush)(fuse_req_t req, struct ipcfs_file *file, uint64_t owner);

	/* Answers poll(2), and takes `handle`, if any. If NULL, the file is always ready. */
	void (*poll)(fuse_req_t req, struct ipcfs_file *file, unsigned events,
		     struct fuse_pollhandle *handle);

	/* Closes what `open` opened: at the last close, or at the end of the mount. */
	void (*release)(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

	/*
	 * Returns how many bytes a read would give (IPCFS_FILE_TEXT_SIZE). 0: there is an error.
	 * -ERESTART: it takes long (long_work.h).
	 */
	ssize_t (*size)(fuse_req_t req, const struct ipcfs_node *node);
};

#endif
