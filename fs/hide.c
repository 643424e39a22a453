/* SPDX-License-Identifier: MIT */
#include "hide.h"

#include <errno.h>

#include "access.h"
#include "caller.h"

static int may(const struct ipcfs_backend *class, const struct ipcfs_info *info,
	       struct ipcfs_caller *caller, unsigned want)
{
	return ipcfs_access(class->rule, &info->perm, caller, want, ipcfs_caller_load);
}

int ipcfs_hide_check(const struct ipcfs_filesystem *fs, const struct ipcfs_backend *class,
		     const struct ipcfs_info *info, struct ipcfs_caller *caller)
{
	int err;

	if (!atomic_load_explicit(&fs->gate.hides, memory_order_relaxed) ||
	    caller->uid == info->perm.uid || caller->uid == info->perm.cuid)
		return 0;
	err = may(class, info, caller, IPCFS_WANT_READ);
	if (err == -EACCES)
		err = may(class, info, caller, IPCFS_WANT_WRITE);
	return err == -EACCES ? -ENOENT : err;
}
