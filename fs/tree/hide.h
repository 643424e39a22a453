/* SPDX-License-Identifier: MIT */
/* The setting `hide`: a caller sees only objects that it may read or write, or owns or made. */
#ifndef IPCFS_HIDE_H
#define IPCFS_HIDE_H

#include "fs/tree/state.h"

/*
 * Checks that the caller may see an object. `info` is what the class has just told of the
 * object. The caller's groups and capabilities are loaded if the answer depends on them.
 * -ENOENT: the setting is on, and the caller may not see the object.
 * -ENOMEM, and the errors of the class.
 */
int ipcfs_hide_check(const struct ipcfs_filesystem *fs, const struct ipcfs_space *space,
		     const struct ipcfs_class *class, const struct ipcfs_info *info,
		     struct ipcfs_caller *caller);

#endif
