/* SPDX-License-Identifier: MIT */
/*
 * IPC namespaces as /proc shows them. The other functions of namespace.c are in contract/space.h.
 */
#ifndef IPCFS_NAMESPACE_H
#define IPCFS_NAMESPACE_H

#include "backends/contract/contract.h"

/*
 * Opens the IPC namespace of a thread. Returns a descriptor, to be closed.
 * -ENOENT: the thread is unknown, or /proc does not show its namespace.
 * -ENOMEM, -EMFILE, -ENFILE.
 */
int ipcfs_namespace_open(pid_t tid);

#endif
