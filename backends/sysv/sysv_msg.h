/* SPDX-License-Identifier: MIT */
/* Shared by sysv_msg.c (queues as objects) and sysv_msg_queue.c (messages). */
#ifndef IPCFS_SYSV_MSG_H
#define IPCFS_SYSV_MSG_H

#include <sys/msg.h>

#include "backends/sysv/sysv_object.h"

extern const struct ipcfs_sysv_class ipcfs_sysv_msg_calls;
extern const struct ipcfs_queue_ops ipcfs_sysv_msg_queue;

/*
 * Reads the state of the queue of this id, whatever its mode.
 * -EIDRM: it was removed.
 */
int ipcfs_sysv_msg_stat_id(int id, struct msqid_ds *ds);

/* Returns the bytes of the largest message that the queue can ever take. */
uint64_t ipcfs_sysv_msg_largest(const struct msqid_ds *ds);

#endif
