/* SPDX-License-Identifier: MIT */
/*
 * May they? The one place that decides who may read and write an object, and says why; the kernel,
 * asked with the caller's own credentials, decides who may make, remove and change one. Pure.
 */
#ifndef IPCFS_ACCESS_H
#define IPCFS_ACCESS_H

#include "../backends/backend.h"

enum ipcfs_want { IPCFS_WANT_WRITE = 2, IPCFS_WANT_READ = 4 };

/* Which entry of acl(5), or of the mode, decided; a creator is an owner. */
enum ipcfs_reason {
	IPCFS_BY_OWNER,
	IPCFS_BY_NAMED_USER,
	IPCFS_BY_GROUP, /* the owning one or a named one */
	IPCFS_BY_OTHER,
	IPCFS_BY_CAPABILITY,
	IPCFS_BY_NOTHING, /* it could not be found out */
};

/* A word for it. */
const char *ipcfs_reason_name(enum ipcfs_reason reason);

struct ipcfs_question {
	enum ipcfs_rule rule;
	const struct ipcfs_perm *perm;
	const struct ipcfs_acl *acl; /* its base entries are of now; NULL or empty: none */
	unsigned want;		     /* IPCFS_WANT_*, or'ed */
	/* Of the object's IPC namespace: whose capabilities count for System V. NULL: nobody's. */
	const struct ipcfs_authority *authority;
};

/* Is this caller judged as the owner is? Then no list matters. */
bool ipcfs_access_is_owner(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
			   const struct ipcfs_caller *caller);

/*
 * 0 or -EACCES (or what load returned). `load` is called, once at most, only where the answer depends on
 * groups or capabilities and the caller is not loaded; NULL: an unloaded caller has none.
 *
 * Without a list: System V is the kernel's ipcperms(): the first of (owner or creator), (owner's or
 * creator's group), other decides; CAP_IPC_OWNER overrides. Files: owner, group, other as in inode(7);
 * CAP_DAC_OVERRIDE, for reading alone also CAP_DAC_READ_SEARCH, overrides (capabilities(7)). With one,
 * acl(5): owner (or creator), named users, groups (one that grants all of it will do), other; the mask.
 *
 * Capabilities of another user namespace than ours count for System V as `authority` says, for files where
 * owner and group have ids in it.
 */
int ipcfs_access(const struct ipcfs_question *question, struct ipcfs_caller *caller,
		 int (*load)(struct ipcfs_caller *caller), enum ipcfs_reason *reason);

#endif
