/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <errno.h>
#include <linux/capability.h>

#define WANT_ALL (IPCFS_WANT_READ | IPCFS_WANT_WRITE)

static bool has_cap(const struct ipcfs_caller *caller, int cap)
{
	return caller->loaded && (caller->caps >> cap & 1);
}

static bool in_group(const struct ipcfs_caller *caller, gid_t gid)
{
	if (caller->gid == gid)
		return true;
	for (size_t i = 0; caller->loaded && i < caller->ngroups; i++)
		if (caller->groups[i] == gid)
			return true;
	return false;
}

static bool is_owner(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
		     const struct ipcfs_caller *caller)
{
	return caller->uid == perm->uid || (rule == IPCFS_RULE_SYSV && caller->uid == perm->cuid);
}

static bool is_group(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
		     const struct ipcfs_caller *caller)
{
	return in_group(caller, perm->gid) ||
	       (rule == IPCFS_RULE_SYSV && in_group(caller, perm->cgid));
}

/*
 * The bits of the class that the caller is in. With `maybe` there may be groups that are not known
 * yet: of two classes that it could be, only what both grant is sure.
 */
static unsigned granted(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
			const struct ipcfs_caller *caller, bool maybe)
{
	if (is_owner(rule, perm, caller))
		return perm->mode >> 6;
	if (is_group(rule, perm, caller))
		return perm->mode >> 3;
	return maybe ? perm->mode & perm->mode >> 3 : perm->mode;
}

static bool overrides(enum ipcfs_rule rule, const struct ipcfs_caller *caller, unsigned want)
{
	if (rule == IPCFS_RULE_SYSV)
		return has_cap(caller, CAP_IPC_OWNER);
	return has_cap(caller, CAP_DAC_OVERRIDE) ||
	       (want == IPCFS_WANT_READ && has_cap(caller, CAP_DAC_READ_SEARCH));
}

int ipcfs_access(enum ipcfs_rule rule, const struct ipcfs_perm *perm, struct ipcfs_caller *caller,
		 unsigned want, int (*load)(struct ipcfs_caller *caller))
{
	bool maybe = !caller->loaded && load;
	int err;

	want &= WANT_ALL;
	if (!(want & ~granted(rule, perm, caller, maybe)))
		return 0;
	/* A capability may override every refusal, so a refusal is never certain before. */
	if (maybe) {
		err = load(caller);
		if (err)
			return err;
		if (!(want & ~granted(rule, perm, caller, false)))
			return 0;
	}
	return overrides(rule, caller, want) ? 0 : -EACCES;
}
