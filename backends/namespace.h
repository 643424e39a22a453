/* SPDX-License-Identifier: MIT */
/* IPC namespaces and who is in them, as /proc tells it. They are known by inode numbers. */
#ifndef IPCFS_NAMESPACE_H
#define IPCFS_NAMESPACE_H

#include "backend.h"

/* A descriptor of the thread's IPC namespace. -ENOENT: it can't be seen; -ENOMEM, -EMFILE, -ENFILE. */
int ipcfs_namespace_open(pid_t tid);

#endif
