/* SPDX-License-Identifier: MIT */
/* Shared by posix_mq.c (queues as objects), posix_mq_make.c and posix_mq_queue.c (messages). */
#ifndef IPCFS_POSIX_MQ_H
#define IPCFS_POSIX_MQ_H

#include <sys/stat.h>

#include "backends/contract/contract.h"

/* Converts owner and mode of a queue's file. */
void ipcfs_posix_mq_perm(const struct stat *st, struct ipcfs_perm *perm);

/*
 * Opens the queue of this name, and reads its state into *st. Returns a descriptor, to be closed.
 * O_NONBLOCK, O_CLOEXEC and O_NOFOLLOW are added to flags, which may contain O_PATH. `serial` is
 * the inode number that the queue must have; 0: any.
 * -ENOENT: there is no queue of this name.
 * -EIDRM: the queue has another inode number.
 * -EACCES: the daemon may not open it.
 */
int ipcfs_posix_mq_open(const struct ipcfs_space *space, const char *name, uint64_t serial,
			int flags, struct stat *st);

/*
 * Implements `make` of struct ipcfs_class, but for *info.
 * -EINTR: the impersonating child was killed, perhaps by the caller. The queue may exist or not.
 */
int ipcfs_posix_mq_make(const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			const char **limit);

extern const struct ipcfs_queue_ops ipcfs_posix_mq_queue;

#endif
