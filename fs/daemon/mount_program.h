/* SPDX-License-Identifier: MIT */
/* ipcfs as the program that mount(8) runs for the type ipcfs: its arguments and exit status. */
#ifndef IPCFS_MOUNT_PROGRAM_H
#define IPCFS_MOUNT_PROGRAM_H

#include <stdbool.h>

struct fuse_args;

struct ipcfs_mount_program {
	bool called;	      /* under a name that begins with "mount." */
	bool fake;	      /* -f: check, but do not mount */
	bool sloppy;	      /* -s: ignore unknown options */
	const char *mount_ns; /* -N: a process id or a file, of argv; NULL: this namespace */
};

/*
 * Turns the arguments that mount(8) passes into those of ipcfs(1), if *args begins with a name of
 * the mount program. Under another name *args stays as it is. Free *args in any case.
 *   -EINVAL: wrong usage, which was logged.
 *   -ENOMEM.
 */
int ipcfs_mount_program_parse(struct fuse_args *args, struct ipcfs_mount_program *program);

/*
 * Enters the mount namespace of -N, if there is one, with "/" as the working directory. Call before
 * there are threads. Errors are logged:
 *   -EPERM, -EACCES: the process may not.
 *   -ESRCH: /proc of that namespace shows the processes of another pid namespace, or is missing.
 *   Others of open(2) and setns(2).
 */
int ipcfs_mount_program_enter(const struct ipcfs_mount_program *program);

/*
 * Gives a process that was started as the mount program the name ipcfs, and makes SIGINT and
 * SIGTERM end it with the status "interrupted". Changes nothing in another process.
 */
void ipcfs_mount_program_begin(const struct ipcfs_mount_program *program);

/* Returns the exit status of mount(8) for 0 or a negative errno of the start. */
int ipcfs_mount_program_status(int err);

#endif
