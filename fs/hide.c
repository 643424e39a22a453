/* SPDX-License-Identifier: MIT */
#include "hide.h"

#include <errno.h>

#include "caller.h"
#include "permission.h"

static int may(const struct ipcfs_space *space, const struct ipcfs_backend *class,
	       const struct ipcfs_info *info, struct ipcfs_caller *caller, unsigned want)
{
	enum ipcfs_reason reason;

	return ipcfs_permission_check(space, class, &info->ref, &info->perm, -1, want, caller,
				      ipcfs_caller_load, &reason);
}

int ipcfs_hide_check(const struct ipcfs_filesystem *fs, const struct ipcfs_space *space,
		     const struct ipcfs_backend *class, const struct ipcfs_info *info,
		     struct ipcfs_caller *caller)
{
	int err;

	if (!atomic_load_explicit(&fs->gate.hides, memory_order_relaxed) ||
	    caller->uid == info->perm.uid || caller->uid == info->perm.cuid)
		return 0;
	err = may(space, class, info, caller, IPCFS_WANT_READ);
	if (err == -EACCES)
		err = may(space, class, info, caller, IPCFS_WANT_WRITE);
	return err == -EACCES ? -ENOENT : err;
}
