/* SPDX-License-Identifier: MIT */
/* What the two halves of System V semaphores share: objects (sysv_sem.c) and what is done to them. */
#ifndef IPCFS_SYSV_SEM_H
#define IPCFS_SYSV_SEM_H

#include <sys/sem.h>

#include "backend.h"

/* The program has to define this one itself; semctl(2). */
union ipcfs_semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

/* The set of this id, readable or not. -EIDRM: it was removed. */
int ipcfs_sysv_sem_look(int id, struct semid_ds *ds);

/* Is this still the object that has the name: 0, -ENOENT, -EIDRM (another one has its key). */
int ipcfs_sysv_sem_verify(const struct ipcfs_ref *ref);

extern const struct ipcfs_semaphore_ops ipcfs_sysv_sem_ops;

#endif
