/* SPDX-License-Identifier: MIT */
/*
 * Reading whose capabilities count for an IPC namespace: struct ipcfs_authority of
 * contract/caller.h.
 */
#ifndef IPCFS_AUTHORITY_H
#define IPCFS_AUTHORITY_H

#include "backends/contract/contract.h"

/*
 * Sets *authority to the daemon's own user namespace alone: capabilities of callers in it count.
 * Empty, so that no capabilities count, where /proc does not show the namespace.
 */
void ipcfs_authority_own(struct ipcfs_authority *authority);

/*
 * Sets *authority to the user namespace that owns the IPC namespace of this descriptor, and those
 * around it, up to the daemon's own. After an error it is empty.
 * -EPERM: the owning user namespace is neither the daemon's nor inside of it.
 * Errors of ioctl_ns(2).
 */
int ipcfs_authority_read(int ns, struct ipcfs_authority *authority);

#endif
