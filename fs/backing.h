/* SPDX-License-Identifier: MIT */
/*
 * Files that the kernel reads, writes and maps in our place. Only kernels since 6.9 can, only
 * for CAP_SYS_ADMIN in the initial user namespace, and only with a library that has agreed on it with
 * the kernel; what stands in the way elsewhere is found by trying.
 */
#ifndef IPCFS_BACKING_H
#define IPCFS_BACKING_H

#include <stdbool.h>

/* Was this built with a library that can? */
bool ipcfs_backing_possible(void);

/*
 * Let the kernel have this file: its backing id, more than 0. `device` is the session's descriptor.
 * -EPERM, -EOPNOTSUPP, and what the kernel says of a file that it can't use.
 */
int ipcfs_backing_open(int device, int fd);
void ipcfs_backing_close(int device, int id);

#endif
