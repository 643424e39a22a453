/* SPDX-License-Identifier: MIT */
/* Shared by sysv_sem.c (sets as objects) and sysv_sem_ops.c (operations). */
#ifndef IPCFS_SYSV_SEM_H
#define IPCFS_SYSV_SEM_H

#include <stdlib.h>
#include <sys/sem.h>

#include "backends/sysv/sysv_object.h"

/* The argument of semctl(2), which programs have to define themselves. */
union ipcfs_semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

extern const struct ipcfs_sysv_class ipcfs_sysv_sem_calls;
extern const struct ipcfs_semaphore_ops ipcfs_sysv_sem_ops;

/*
 * Reads the state of the set of this id, whatever its mode.
 * -EIDRM: it was removed.
 */
int ipcfs_sysv_sem_stat_id(int id, struct semid_ds *ds);

static inline void ipcfs_sysv_sem_free_values(unsigned short **values)
{
	free(*values);
}

/* Declares semaphore values that are freed at the end of their scope. */
#define IPCFS_SYSV_SEM_VALUES_AUTO                                                                 \
	__attribute__((cleanup(ipcfs_sysv_sem_free_values))) unsigned short *

#endif
