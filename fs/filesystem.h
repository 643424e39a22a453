/* SPDX-License-Identifier: MIT */
/* The file system as the command line and the session see it: made, started, stopped, freed. */
#ifndef IPCFS_FILESYSTEM_H
#define IPCFS_FILESYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

struct fuse_session;
struct fuse_lowlevel_ops;
struct ipcfs_filesystem;

/*
 * Before there are other threads. With a target the errors of ipcfs_space_join, with all namespaces those of ipcfs_space_open_home, without -ENOENT where POSIX
 * queues can't be reached; -ENOMEM. Freed with ipcfs_filesystem_destroy.
 */
int ipcfs_filesystem_create(const struct ipcfs_options *options, struct ipcfs_filesystem **fs);

/* From now on these settings, as far as they can change while the mount is there. -ENOMEM: none. */
int ipcfs_filesystem_set(struct ipcfs_filesystem *fs, const struct ipcfs_settings *settings);

/* A pidfd of the target, for struct ipcfs_session_hooks; -1: there is none. */
int ipcfs_filesystem_target(const struct ipcfs_filesystem *fs);

/* The operations; the session's user data is the struct ipcfs_filesystem. */
extern const struct fuse_lowlevel_ops ipcfs_filesystem_ops;

/* For struct ipcfs_session_hooks, arg is the struct ipcfs_filesystem. */
int ipcfs_filesystem_start(void *fs, struct fuse_session *session);
void ipcfs_filesystem_stop(void *fs);
bool ipcfs_filesystem_admit(void *fs, const void *request, size_t size);
void ipcfs_filesystem_done(void *fs);
void ipcfs_filesystem_leave(void *fs);

/* After the session ended and its threads were joined. */
void ipcfs_filesystem_destroy(struct ipcfs_filesystem *fs);

#endif
