/* SPDX-License-Identifier: MIT */
/* The kernel's limits on IPC: files of /proc/sys, each with the values of one IPC namespace. */
#ifndef IPCFS_CONTRACT_LIMITS_H
#define IPCFS_CONTRACT_LIMITS_H

#include "backends/contract/caller.h"
#include "backends/contract/text.h"

struct ipcfs_limit {
	const char *name; /* the file in limits/: "msgmax" */
	const char *path; /* the kernel's file: "/proc/sys/kernel/msgmax" */
};

/* All limits, in the order in which limits/ lists them; the last one has a NULL name. */
extern const struct ipcfs_limit ipcfs_limits[];

/*
 * Appends the limit's value in this thread's IPC namespace, with its newline.
 * -ENOMEM; errors of open(2) and read(2).
 */
int ipcfs_limit_read(const struct ipcfs_limit *limit, struct ipcfs_text *out);

/*
 * Checks that the caller, who has to be loaded, may set limits in this thread's IPC namespace, as
 * open(2) of the kernel's file would.
 * -EACCES, -EPERM: the kernel refuses the caller.
 */
int ipcfs_limit_check(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller);

/*
 * Sets the limit in this thread's IPC namespace, as the caller, who has to be loaded. `value` has
 * `size` bytes: decimal numbers with blanks between them and perhaps a newline at the end.
 * -EINVAL: the value has another form, or the kernel refuses it.
 * -ERANGE: a number does not fit into an unsigned long.
 * -EACCES, -EPERM: the kernel refuses the caller.
 */
int ipcfs_limit_write(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller,
		      const char *value, size_t size);

#endif
