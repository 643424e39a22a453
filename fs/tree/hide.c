/* SPDX-License-Identifier: MIT */
#include "fs/tree/hide.h"

#include <errno.h>

#include "fs/tree/permission.h"

int ipcfs_hide_check(const struct ipcfs_filesystem *fs, const struct ipcfs_space *space,
		     const struct ipcfs_class *class, const struct ipcfs_info *info,
		     struct ipcfs_caller *caller)
{
	int err;

	if (!atomic_load_explicit(&fs->gate.hides, memory_order_relaxed) ||
	    caller->uid == info->perm.uid || caller->uid == info->perm.cuid)
		return 0;
	err = ipcfs_permission_check_found(space, class, info, IPCFS_WANT_READ, caller);
	if (err == -EACCES)
		err = ipcfs_permission_check_found(space, class, info, IPCFS_WANT_WRITE, caller);
	return err == -EACCES ? -ENOENT : err;
}
