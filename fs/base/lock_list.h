/* SPDX-License-Identifier: MIT */
/*
 * The locks of one file: of fcntl(2), on ranges of bytes, and of flock(2), on the whole file. The
 * two sorts know nothing of each other. The locks of one owner never overlap. Pure.
 */
#ifndef IPCFS_LOCK_LIST_H
#define IPCFS_LOCK_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ipcfs_lock {
	uint64_t owner;	  /* FUSE's lock owner: a process, or an open file */
	uint64_t file;	  /* handle of the open file that it was taken by */
	bool flock;	  /* of flock(2); otherwise of fcntl(2) */
	bool exclusive;	  /* otherwise shared */
	off_t start, end; /* the first and the last byte */
	pid_t pid;	  /* of the process that took it */
	struct ipcfs_lock *next;
};

#define IPCFS_LOCKS_MAX 256	 /* locks taken by one open file */
#define IPCFS_LOCKS_ALL_MAX 4096 /* locks on one file: each request looks at all of them */
#define IPCFS_LOCK_END INT64_MAX /* the last byte of a range without an end */

/* Returns a lock of another owner because of which `wanted` can't be taken. NULL: there is none. */
const struct ipcfs_lock *ipcfs_lock_conflict(const struct ipcfs_lock *locks,
					     const struct ipcfs_lock *wanted);

/*
 * Takes the lock, in place of what its owner has in the range. Call if there is no conflict.
 * -ENOLCK: its open file has IPCFS_LOCKS_MAX, or the file IPCFS_LOCKS_ALL_MAX.
 * -ENOMEM.
 */
int ipcfs_lock_take(struct ipcfs_lock **locks, const struct ipcfs_lock *wanted);

/*
 * Drops what the owner of `range` has of that sort in the range. On an error nothing is dropped.
 * -ENOLCK: the range is inside a lock, which would become one lock too many.
 * -ENOMEM.
 */
int ipcfs_lock_drop(struct ipcfs_lock **locks, const struct ipcfs_lock *range);

/* Drop all locks of fcntl(2) that an owner has, and all that were taken by an open file. */
void ipcfs_lock_drop_owner(struct ipcfs_lock **locks, uint64_t owner);
void ipcfs_lock_drop_file(struct ipcfs_lock **locks, uint64_t file);

#endif
