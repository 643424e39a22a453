/* SPDX-License-Identifier: MIT */
/*
 * The directory of a store: one for each IPC namespace, in a directory to which only the daemon's
 * user has access; a file of all lists. Earlier versions had a file for each list, which are read
 * and removed. Every file is checked before it is used. Call all
 * functions but ipcfs_acl_dir_close by one thread at a time.
 */
#ifndef IPCFS_ACL_DIR_H
#define IPCFS_ACL_DIR_H

#include "fs/access/acl_lists.h"
#include "fs/access/acl_record.h"

/*
 * The usual directory above those of the namespaces: root's, and in $XDG_RUNTIME_DIR. Not in
 * /run/ipcfs, where the mount usually is: the daemon would send requests to itself.
 */
#define IPCFS_ACL_DIR_PATH "/run/ipcfs-state"
#define IPCFS_ACL_DIR_NAME "ipcfs-state"

struct ipcfs_acl_dir {
	int above;     /* the directory of the directories of all namespaces; -1: none */
	char name[24]; /* of this namespace's directory */
	int fd, lock;  /* -1 while it is not locked */
	struct ipcfs_acl_lists lists;
	bool complained; /* a list could not be written, and none was since */
	struct ipcfs_space_identity space;
};

/*
 * Opens, or makes, the directory `above`; NULL: the usual one. Set dir->space before. Logs why a
 * directory can't be used. Close with ipcfs_acl_dir_close, after an error too. A negative errno:
 * there is no directory.
 */
int ipcfs_acl_dir_open(struct ipcfs_acl_dir *dir, const char *above);

/* Opens, or makes, the usual directory. Returns a descriptor, or a negative errno. */
int ipcfs_acl_dir_usual(void);

/*
 * Unlock the namespace's directory; with `empty` they remove it, if no file is left. close also
 * closes dir->above.
 */
void ipcfs_acl_dir_close(struct ipcfs_acl_dir *dir, bool empty);
void ipcfs_acl_dir_unlock(struct ipcfs_acl_dir *dir, bool empty);

/*
 * Makes this daemon the only one that uses the namespace's directory.
 *   -EBUSY: another daemon uses it.
 *   Other errors, which are logged.
 */
int ipcfs_acl_dir_lock(struct ipcfs_acl_dir *dir);

/*
 * Opens the lock file, and returns its descriptor, to be closed. flock(2) on it waits until the
 * daemon that has the lock ends; after that, close it and call ipcfs_acl_dir_lock. A negative
 * errno.
 */
int ipcfs_acl_dir_open_lock(struct ipcfs_acl_dir *dir);

/*
 * Removes what a crash left, and calls `each` for every record of this namespace. A record may come
 * twice after a crash: the one with the higher sequence counts. place->slot is 0 for a record of an
 * earlier version, whose file is removed afterwards. `each` returns
 *   0: the record is used, and record->acl is its own.
 *   1: the record is void; it is removed.
 *   A negative errno, which ends the loading and is returned.
 */
int ipcfs_acl_dir_load(struct ipcfs_acl_dir *dir,
		       int (*each)(void *arg, struct ipcfs_acl_record *record,
				   const struct ipcfs_acl_place *place),
		       void *arg);

/*
 * Writes the record, completely or not at all, in place of the one at *place. The first of several
 * errors is logged.
 *   -ENOMEM
 *   -ENOSPC: no space is left, or no quota.
 *   -EIO: any other error.
 */
int ipcfs_acl_dir_write(struct ipcfs_acl_dir *dir, const struct ipcfs_acl_record *record,
			struct ipcfs_acl_place *place);

/* Removes the record at *place, if there is one. -EIO: it could not be removed; logged. */
int ipcfs_acl_dir_remove(struct ipcfs_acl_dir *dir, struct ipcfs_acl_place *place);

#endif
