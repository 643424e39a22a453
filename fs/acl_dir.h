/* SPDX-License-Identifier: MIT */
/*
 * The directory of a store: one for each IPC namespace, below one that is ours alone; a file for each
 * list. Nothing in it is believed for being there. All functions but close are called by one thread at a time.
 */
#ifndef IPCFS_ACL_DIR_H
#define IPCFS_ACL_DIR_H

#include "acl_record.h"

struct ipcfs_acl_dir {
	int above;     /* where the directories of all namespaces are; -1: nowhere */
	char name[24]; /* that of ours */
	int fd, lock;  /* -1 while it is not ours */
	struct ipcfs_space_identity space;
};

/*
 * Open, or make, where directories are kept: `above`, NULL for the usual place. What is in the way is logged.
 * dir->space is set; then it is closed with close. -errno: there is no such place.
 */
int ipcfs_acl_dir_open(struct ipcfs_acl_dir *dir, const char *above);

/* With `empty` the directory goes, if nothing is in it. unlock is the opposite of lock. */
void ipcfs_acl_dir_close(struct ipcfs_acl_dir *dir, bool empty);
void ipcfs_acl_dir_unlock(struct ipcfs_acl_dir *dir, bool empty);

/*
 * Become the one daemon that uses the directory of the namespace. -EBUSY: another one is; other errors are
 * logged.
 */
int ipcfs_acl_dir_lock(struct ipcfs_acl_dir *dir);

/*
 * Remove what a crash left, and call `each` for every record of this namespace. It returns 0: taken,
 * record->acl is its own now; 1: void, the file is removed; -errno, which ends it.
 */
int ipcfs_acl_dir_load(const struct ipcfs_acl_dir *dir,
		       int (*each)(void *arg, struct ipcfs_acl_record *record), void *arg);

/* Write the file of this record, all of it or nothing. -ENOSPC, -ENOMEM, -EIO (the log says why). */
int ipcfs_acl_dir_write(const struct ipcfs_acl_dir *dir, const struct ipcfs_acl_record *record);

/* Remove the file; it need not be there. -EIO (the log says why). */
int ipcfs_acl_dir_remove(const struct ipcfs_acl_dir *dir, const struct ipcfs_backend *class,
			 const struct ipcfs_ref *ref);

#endif
