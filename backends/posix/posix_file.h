/* SPDX-License-Identifier: MIT */
/*
 * For: POSIX IPC objects. Each is a file; this file has what all classes do with it.
 * Called by: fs/ by contract/ only.
 * May call: backends/space, backends/caller, backends/contract, backends/base, the C library.
 */
#ifndef IPCFS_POSIX_FILE_H
#define IPCFS_POSIX_FILE_H

#include <sys/stat.h>

#include "backends/contract/contract.h"

/* The mode bits of an object: execute, setuid and sticky bits mean nothing on it. */
#define IPCFS_POSIX_MODE_BITS 0666

/* The changes that ipcfs_posix_file_change makes. */
#define IPCFS_POSIX_CHANGE_FIELDS                                                                  \
	((uint32_t)(IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_TIMES))

/*
 * Checks that a file can have this name.
 * -EINVAL, -ENAMETOOLONG.
 */
int ipcfs_posix_name_check(const char *name);

/*
 * Opens the file behind an O_PATH descriptor, whatever file has its name now. Returns a descriptor,
 * to be closed.
 * Errors of open(2).
 */
int ipcfs_posix_file_reopen(int path, int flags);

/* Implements `close` of the *_ops structs for handles that are descriptors. */
void ipcfs_posix_file_close(int handle);

/*
 * Implements class->walk for the regular files of a directory; -1: there is none.
 * Errors of open(2) and getdents(2).
 */
int ipcfs_posix_file_walk(int directory, struct ipcfs_walk *walk,
			  int (*each)(void *arg, const struct ipcfs_info *info), void *arg);

/* Implements class->at_most for the files of a directory; -1: there is none. */
uint64_t ipcfs_posix_file_at_most(int directory);

/*
 * Appends the status lines that all classes have in common; `class` is the value of the first one.
 * -ENOMEM.
 */
int ipcfs_posix_file_status(const char *class, const struct ipcfs_info *info,
			    struct ipcfs_text *out);

/*
 * Removes the file of this name from the directory, as the caller, who has to be loaded.
 * -EPERM: the caller may not, or the daemon cannot act as the caller.
 * -ENOMEM.
 * Errors of unlink(2).
 */
int ipcfs_posix_file_remove(int directory, const char *name, const struct ipcfs_caller *caller);

/*
 * Changes mode and owner, or times, of the file behind an O_PATH descriptor, as the caller, who has
 * to be loaded.
 * `mode` is the mode before. After an error nothing has changed.
 * -EPERM: the caller may not, or the daemon cannot act as the caller.
 * -EINVAL: files have no such field, or an id has no number in the caller's user namespace.
 * -ENOMEM.
 */
int ipcfs_posix_file_change(int path, mode_t mode, const struct ipcfs_change *wanted,
			    const struct ipcfs_caller *caller);

/*
 * Reads the access control list of the file behind any descriptor, also one with O_PATH. *acl has
 * to be freed; it has a count of 0 where the file has no list, or the file system has none.
 * -EINVAL: the list has an unknown form.
 * -ENOMEM.
 */
int ipcfs_posix_file_acl(int fd, struct ipcfs_acl *acl);

/*
 * Sets the list as the caller, who has to be loaded. A list that is not extended removes the
 * file's.
 * -EINVAL: an id has no number in the caller's user namespace.
 * Errors of setxattr(2).
 */
int ipcfs_posix_file_set_acl(int path, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller);

/*
 * Adds a directory to an instance of inotify(7). Returns the number of the watch.
 * Errors of inotify_add_watch(2).
 */
int ipcfs_posix_file_watch_more(int inotify, int directory, uint32_t events);

/*
 * Implements `watch` of struct ipcfs_class for a directory and events of inotify(7). A directory of
 * -1:
 * does nothing.
 */
int ipcfs_posix_file_watch(int directory, uint32_t events, int *watch);

#endif
