/* SPDX-License-Identifier: MIT */
/*
 * Explanations for errors at the start that come from the machine or the container. Each function
 * logs a line on what is missing and, if an option of a container program grants it, another line
 * with the options.
 */
#ifndef IPCFS_EXPLAIN_H
#define IPCFS_EXPLAIN_H

#include <sys/types.h>

/* Checks that /dev/fuse can be opened. A negative errno of open(2) was explained. */
int ipcfs_explain_check_device(void);

/*
 * Checks that /proc shows this process by the number that it has here. The daemon reads the groups
 * of its callers there, and must not read those of another process with the same number. -ESRCH was
 * explained.
 */
int ipcfs_explain_check_proc(void);

/* Explains why mounting on `mountpoint` failed, unless fusermount3 has. */
void ipcfs_explain_mount(const char *mountpoint);

/* Logs a line that posix/mq is empty: no /dev/mqueue, and no privilege to mount one. */
void ipcfs_explain_queues(void);

/* Explains why this process can't be the target. `error` is that of ipcfs_space_join, positive. */
void ipcfs_explain_target(pid_t pid, int error);

#endif
