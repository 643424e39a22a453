/* SPDX-License-Identifier: MIT */
/* What the two halves of System V message queues share: objects (sysv_msg.c) and messages. */
#ifndef IPCFS_SYSV_MSG_H
#define IPCFS_SYSV_MSG_H

#include <sys/msg.h>

#include "backend.h"

/* The queue of this id, readable or not. -EIDRM: it was removed. */
int ipcfs_sysv_msg_look(int id, struct msqid_ds *ds);

/* Its permissions. */
void ipcfs_sysv_msg_perm(const struct msqid_ds *ds, struct ipcfs_perm *perm);

/* The largest message it can ever take. */
uint64_t ipcfs_sysv_msg_largest(const struct msqid_ds *ds);

/* Is this still the object that has the name: 0, -ENOENT, -EIDRM (another one has its key). */
int ipcfs_sysv_msg_verify(const struct ipcfs_ref *ref);

extern const struct ipcfs_queue_ops ipcfs_sysv_msg_queue;

#endif
