/* SPDX-License-Identifier: MIT */
/*
 * Backing files: the kernel reads, writes and maps them without asking the daemon (FUSE
 * passthrough). This takes Linux 6.9, CAP_SYS_ADMIN in the initial user namespace, and a libfuse
 * that negotiates it. The daemon finds out by trying.
 */
#ifndef IPCFS_BACKING_H
#define IPCFS_BACKING_H

#include <stdbool.h>

struct ipcfs_legacy;

/* Returns whether the daemon was built with a libfuse that can negotiate it. */
bool ipcfs_backing_possible(void);

/*
 * Registers a file with the kernel. Returns its backing id, greater than 0, which
 * ipcfs_backing_close releases. `device` is the descriptor of the FUSE session.
 * -EPERM: the daemon lacks CAP_SYS_ADMIN.
 * -EOPNOTSUPP: the kernel or the build can't do it.
 * Other errors of the ioctl: the kernel can't use this file.
 */
int ipcfs_backing_open(int device, int fd);

/* Releases a backing id. */
void ipcfs_backing_close(int device, int id);

/* Releases those that a worker before this one had, that are known, and that do not go on. */
void ipcfs_backing_close_old(struct ipcfs_legacy *legacy, int device);

#endif
