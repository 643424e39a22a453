/* SPDX-License-Identifier: MIT */
/* What a caller's capabilities are worth for an IPC namespace: struct ipcfs_authority of backend.h. */
#ifndef IPCFS_AUTHORITY_H
#define IPCFS_AUTHORITY_H

#include "backend.h"

/*
 * Our own user namespace alone: what counts are the capabilities of callers who are in it. Empty, so that
 * none count, where /proc does not tell.
 */
void ipcfs_authority_own(struct ipcfs_authority *authority);

/*
 * Of the IPC namespace of this descriptor: the user namespace that owns it, and those around it, up to our
 * own. -EPERM: its owner is neither ours nor inside of ours; other errors of ioctl_ns(2). Empty then.
 */
int ipcfs_authority_read(int ns, struct ipcfs_authority *authority);

/*
 * The capabilities that the caller has for it, 1 << CAP_x; an unloaded one has none. NULL is as empty. Pure.
 */
uint64_t ipcfs_authority_caps(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller);

/* Only those that are its own, and not what is due to who made a user namespace. Pure. */
uint64_t ipcfs_authority_held(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller);

#endif
