/* SPDX-License-Identifier: MIT */
/*
 * May they? The one place that decides who may read and write an object; the kernel, asked with the
 * caller's own credentials, decides who may make, remove and change one.
 */
#ifndef IPCFS_ACCESS_H
#define IPCFS_ACCESS_H

#include "../backends/backend.h"

enum ipcfs_want { IPCFS_WANT_WRITE = 2, IPCFS_WANT_READ = 4 };

/*
 * 0 or -EACCES (or what load returned): may this caller do what `want` (IPCFS_WANT_*, or'ed) says
 * to an object with these permissions? `load` is called, once at most, only where the answer depends on groups or
 * capabilities and the caller is not loaded; NULL: an unloaded caller has none.
 *
 * System V is the kernel's ipcperms(): the first of (owner or creator), (owner's or creator's
 * group), other decides; CAP_IPC_OWNER overrides. Files: owner, group, other as in inode(7);
 * CAP_DAC_OVERRIDE, for reading alone also CAP_DAC_READ_SEARCH, overrides (capabilities(7)).
 */
int ipcfs_access(enum ipcfs_rule rule, const struct ipcfs_perm *perm, struct ipcfs_caller *caller,
		 unsigned want, int (*load)(struct ipcfs_caller *caller));

#endif
