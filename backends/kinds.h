/* SPDX-License-Identifier: MIT */
/* The kinds of IPC objects there are, one file each. */
#ifndef IPCFS_KINDS_H
#define IPCFS_KINDS_H

#include "backend.h"

extern const struct ipcfs_backend ipcfs_posix_mq;
extern const struct ipcfs_backend ipcfs_posix_shm;
extern const struct ipcfs_backend ipcfs_posix_sem;
extern const struct ipcfs_backend ipcfs_sysv_msg;
extern const struct ipcfs_backend ipcfs_sysv_shm;
extern const struct ipcfs_backend ipcfs_sysv_sem;

#endif
