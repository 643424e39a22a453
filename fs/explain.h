/* SPDX-License-Identifier: MIT */
/*
 * What a machine or a container withholds from us, and the flag that grants it. Each of these logs
 * a line on what is missing and, where it is a matter of flags, one with them.
 */
#ifndef IPCFS_EXPLAIN_H
#define IPCFS_EXPLAIN_H

#include <sys/types.h>

/* The FUSE device can't be opened; `error` is the errno of trying. */
void ipcfs_explain_device(int error);

/* Mounting on `mountpoint` failed. */
void ipcfs_explain_mount(const char *mountpoint);

/* POSIX message queues can't be reached: they can't be mounted, and are not on /dev/mqueue. */
void ipcfs_explain_queues(void);

/* This process can't be the target; `error` is what ipcfs_space_join found, positive. */
void ipcfs_explain_target(pid_t pid, int error);

#endif
