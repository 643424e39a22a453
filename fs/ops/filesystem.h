/* SPDX-License-Identifier: MIT */
/* The file system of a mount, for daemon/: made, started, stopped, freed. */
#ifndef IPCFS_FILESYSTEM_H
#define IPCFS_FILESYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "fs/ops/options.h"

struct fuse_session;
struct ipcfs_echo;
struct fuse_lowlevel_ops;
struct ipcfs_filesystem;
struct ipcfs_legacy;

/*
 * Makes a file system that is not open yet. `legacy`, which is not owned, is for the worker that comes
 * after this one; NULL: none does. Free it with ipcfs_filesystem_destroy. NULL: there is no memory.
 */
struct ipcfs_filesystem *ipcfs_filesystem_create(struct ipcfs_legacy *legacy);

/*
 * Gives an instance of inotify(7) that does not block to a file system that is not open yet.
 * ipcfs_filesystem_open takes it over. -1: the file system makes one.
 */
void ipcfs_filesystem_set_watch(struct ipcfs_filesystem *fs, int watch);

/*
 * Opens a file system, in the process that will serve it, while that has one thread. After an error
 * it is as before.
 * -ECANCELED: the audit's file or service can't be used. The reason was logged.
 * -ENOMEM.
 * With options->target, the errors of ipcfs_space_join. With options->namespaces, those of
 * ipcfs_space_open_home. Otherwise those of ipcfs_space_open.
 */
int ipcfs_filesystem_open(struct ipcfs_filesystem *fs, const struct ipcfs_options *options);

/*
 * Applies those of the settings that can change during a mount. After an error none is applied.
 * Errors of ipcfs_gate_set.
 */
int ipcfs_filesystem_set(struct ipcfs_filesystem *fs, const struct ipcfs_settings *settings);

/* Tells the file system the device number of its mount. Call before it is started. */
void ipcfs_filesystem_set_device(struct ipcfs_filesystem *fs, dev_t device);

/* Returns the echo, to be started before the file system if inotify(7) is to tell everything. */
struct ipcfs_echo *ipcfs_filesystem_echo(struct ipcfs_filesystem *fs);

/* Returns a pidfd of the target, for struct ipcfs_session_hooks. -1: there is no target. */
int ipcfs_filesystem_target(const struct ipcfs_filesystem *fs);

/* Returns whether POSIX queues can be reached; otherwise posix/mq is empty. */
bool ipcfs_filesystem_has_queues(const struct ipcfs_filesystem *fs);

/* The operations. The user data of the FUSE session must be the struct ipcfs_filesystem. */
extern const struct fuse_lowlevel_ops ipcfs_filesystem_ops;

/* For struct ipcfs_session_hooks; its `arg` must be the struct ipcfs_filesystem. */
int ipcfs_filesystem_start(void *fs, struct fuse_session *session);
void ipcfs_filesystem_succeed(void *fs);
void ipcfs_filesystem_rest(void *fs);
void ipcfs_filesystem_stop(void *fs);
bool ipcfs_filesystem_admit(void *fs, const void *request, size_t size);
void ipcfs_filesystem_done(void *fs);
void ipcfs_filesystem_abandon(void *fs, const void *request, size_t size, bool waited);
void ipcfs_filesystem_leave(void *fs);

/*
 * Frees the file system, open or not. Call after the session has ended and its threads were joined.
 */
void ipcfs_filesystem_destroy(struct ipcfs_filesystem *fs);

#endif
