/* SPDX-License-Identifier: MIT */
/* What the parts of POSIX message queues share: objects (posix_mq.c), making, messages. */
#ifndef IPCFS_POSIX_MQ_H
#define IPCFS_POSIX_MQ_H

#include <sys/stat.h>

#include "backend.h"

void ipcfs_posix_mq_perm(const struct stat *st, struct ipcfs_perm *perm);

/*
 * Open the queue of this name; O_NONBLOCK, O_CLOEXEC and O_NOFOLLOW are added to flags, which may
 * say O_PATH. *st is what was opened. -ENOENT, -EACCES, -EIDRM (it is not the inode `serial`, where that
 * is not 0).
 */
int ipcfs_posix_mq_open(const struct ipcfs_space *space, const char *name, uint64_t serial,
			int flags, struct stat *st);

/*
 * Make a queue, as backend.h says of make, but for info. -EINTR: the process that makes it was
 * killed, which the caller can do; then it may or may not have been made.
 */
int ipcfs_posix_mq_make(const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			const char **limit);

extern const struct ipcfs_queue_ops ipcfs_posix_mq_queue;

#endif
