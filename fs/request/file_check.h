/* SPDX-License-Identifier: MIT */
/* Judging the opener of an open file: may it still use the file in this way? */
#ifndef IPCFS_FILE_CHECK_H
#define IPCFS_FILE_CHECK_H

#include "fs/request/file.h"

/*
 * Checks that the opener is still on the whitelist. `tid` is as for ipcfs_file_check.
 * -EACCES: the opener is not.
 * -ENOMEM.
 */
int ipcfs_file_admitted(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid);

/*
 * Checks that the opener may use the object in this direction, by the object's permissions as
 * they are now. Called for every request. `tid` is the thread that made the request. If that is
 * the thread that opened the file, groups and capabilities that the open did not load are loaded
 * from /proc, for this check alone. For another thread the opener has none of them.
 * -EACCES: the opener may not.
 * -EIDRM: the object was removed. Receiving from a removed POSIX queue is allowed.
 * -ENOMEM.
 */
int ipcfs_file_check(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     enum ipcfs_direction direction, pid_t tid);

/* Checks the same for a queue, and fills *info as queue->fstat does. */
int ipcfs_file_check_fstat(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			   enum ipcfs_direction direction, pid_t tid, struct ipcfs_info *info);

/*
 * Checks that the caller of a write to the file is on the whitelist, and has no right that the
 * opener did not have at the open. For files with IPCFS_FILE_WRITER_JUDGED, whose opener is loaded.
 * -EPERM: it has one. So a set-user-id program changes nothing by printing to such a file.
 * -EACCES: the caller is not on the whitelist.
 * -ENOMEM.
 */
int ipcfs_file_check_writer(fuse_req_t req, struct ipcfs_file *file);

/*
 * Returns the caller to judge: the opener, with the groups and capabilities that the open loaded.
 * If the open loaded none, a use of the file is judged with a copy in *now, for which they can be
 * loaded. They must not stay in the file, which other processes may have. The copy's `before`
 * makes sure that the thread is the one that opened the file, and not a later one of the same id.
 * Takes file->lock, until ipcfs_file_leave_opener.
 */
struct ipcfs_caller *ipcfs_file_enter_opener(struct ipcfs_file *file, struct ipcfs_caller *now);

/* Frees what was loaded for this check, and releases file->lock. */
void ipcfs_file_leave_opener(struct ipcfs_file *file, struct ipcfs_caller *judged);

#endif
