/* SPDX-License-Identifier: MIT */
/* What the two halves of System V segments share: objects (sysv_shm.c) and memory. */
#ifndef IPCFS_SYSV_SHM_H
#define IPCFS_SYSV_SHM_H

#include <sys/shm.h>

#include "backend.h"

/* Look at the segment of this id, attached or not. -EIDRM: it was removed. */
int ipcfs_sysv_shm_look(int id, struct shmid_ds *ds);

/* perm, size and times of *info. */
void ipcfs_sysv_shm_fill(const struct shmid_ds *ds, struct ipcfs_info *info);

/* Is this still the object that has the name: 0, -ENOENT, -EIDRM (another one has its key). */
int ipcfs_sysv_shm_verify(const struct ipcfs_ref *ref);

extern const struct ipcfs_segment_ops ipcfs_sysv_shm_segment;

#endif
