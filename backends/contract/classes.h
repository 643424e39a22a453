/* SPDX-License-Identifier: MIT */
/*
 * The classes of IPC objects. Each is defined in the file of its name: posix_mq.c, sysv_msg.c, ...
 */
#ifndef IPCFS_CLASSES_H
#define IPCFS_CLASSES_H

#include "backends/contract/contract.h"

extern const struct ipcfs_class ipcfs_posix_mq;
extern const struct ipcfs_class ipcfs_posix_shm;
extern const struct ipcfs_class ipcfs_posix_sem;
extern const struct ipcfs_class ipcfs_sysv_msg;
extern const struct ipcfs_class ipcfs_sysv_shm;
extern const struct ipcfs_class ipcfs_sysv_sem;

#endif
