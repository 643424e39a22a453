/* SPDX-License-Identifier: MIT */
/* What POSIX objects have in common: each is a file, in a file system of its kind. */
#ifndef IPCFS_POSIX_FILE_H
#define IPCFS_POSIX_FILE_H

#include <sys/stat.h>

#include "backend.h"

/* Execute, setuid and sticky bits mean nothing on an object. */
#define IPCFS_POSIX_MODE_BITS 0666

/* Can a file have this name: 0, -EINVAL, -ENAMETOOLONG. */
int ipcfs_posix_name_check(const char *name);

/* Open what an O_PATH descriptor stands for, whatever has its name now. Errors of open(2). */
int ipcfs_posix_file_reopen(int path, int flags);

/* Remove the file of this name from the directory, as the caller (loaded). Errors of unlink(2), -EPERM, -ENOMEM. */
int ipcfs_posix_file_remove(int directory, const char *name, const struct ipcfs_caller *caller);

/*
 * Change the mode and owner of the file behind an O_PATH descriptor, as the caller (loaded); `mode` is
 * what it has. All or nothing. -EPERM, -EINVAL (a field that no file has), -ENOMEM.
 */
int ipcfs_posix_file_change(int path, mode_t mode, const struct ipcfs_change *wanted,
			    const struct ipcfs_caller *caller);

/*
 * The access control list of a file, by any descriptor of it, O_PATH too; count 0 where it has none, or can have
 * none. -ENOMEM, -EINVAL (not one that we can read).
 */
int ipcfs_posix_file_acl(int fd, struct ipcfs_acl *acl);

/* Set it, or take it away where it is not extended, as the caller (loaded). Errors of setxattr(2). */
int ipcfs_posix_file_set_acl(int path, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller);

/* What a kind's watch does: `events` of inotify(7) in this directory; nothing where it is -1. */
int ipcfs_posix_file_watch(int directory, uint32_t events, int *watch);

#endif
