/* SPDX-License-Identifier: MIT */
/*
 * Room fs/access: callers, their permissions, access control lists, the gate and the quotas.
 * May be called by every room of fs/ except fs/base.
 * May call fs/base and backends/contract.
 *
 * This file decides whether a caller may read or write an object, and tells the reason. Whether a
 * caller may make, remove or change an object is decided by the kernel, with the caller's own
 * credentials. Pure functions.
 */
#ifndef IPCFS_ACCESS_H
#define IPCFS_ACCESS_H

#include "backends/contract/contract.h"

enum ipcfs_want { IPCFS_WANT_WRITE = 2, IPCFS_WANT_READ = 4 };

/* The entry of a list (acl(5)) or of the mode that decided. */
enum ipcfs_reason {
	IPCFS_BY_OWNER, /* also the creator of a System V object */
	IPCFS_BY_NAMED_USER,
	IPCFS_BY_GROUP, /* the owning group or a named one */
	IPCFS_BY_OTHER,
	IPCFS_BY_CAPABILITY,
	IPCFS_BY_NOTHING, /* the caller's groups and capabilities could not be read */
};

/* Returns the reason as the audit writes it. */
const char *ipcfs_reason_name(enum ipcfs_reason reason);

struct ipcfs_question {
	enum ipcfs_rule rule;
	const struct ipcfs_perm *perm;
	const struct ipcfs_acl *acl; /* its base entries follow perm->mode; NULL or empty: none */
	unsigned want;		     /* IPCFS_WANT_*, or'ed */
	/* of the object's IPC namespace: which capabilities count for System V; NULL: none */
	const struct ipcfs_authority *authority;
};

/*
 * Tells whether the caller is the owner or, with IPCFS_RULE_SYSV, the creator. No list applies to
 * such a caller.
 */
bool ipcfs_access_is_owner(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
			   const struct ipcfs_caller *caller);

/*
 * Checks whether the caller has the access that is wanted, and sets *reason. `load` is called at
 * most once, and only if the caller is not loaded and the result depends on its groups or
 * capabilities. NULL: an unloaded caller has neither.
 *
 * System V objects without a list follow the kernel's ipcperms(): the first class that the caller
 * is in decides, of owner or creator, owner's or creator's group, other. CAP_IPC_OWNER overrides.
 * Files without a list follow inode(7): owner, group, other. CAP_DAC_OVERRIDE overrides, for
 * reading alone also CAP_DAC_READ_SEARCH (capabilities(7)). With a list, acl(5) applies: owner or
 * creator, named users, groups (one group must grant all that is wanted), other; the mask limits
 * named users and groups.
 *
 * Capabilities of a caller in another user namespace count for a System V object as
 * question->authority says, and for a file if its owner and group have ids in that namespace.
 *   -EACCES: the caller does not have it.
 *   Errors of `load`; the reason is IPCFS_BY_NOTHING.
 */
int ipcfs_access(const struct ipcfs_question *question, struct ipcfs_caller *caller,
		 int (*load)(struct ipcfs_caller *caller), enum ipcfs_reason *reason);

#endif
