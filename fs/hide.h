/* SPDX-License-Identifier: MIT */
/* The setting hide: who may neither read nor write an object, nor owns it, does not see it. */
#ifndef IPCFS_HIDE_H
#define IPCFS_HIDE_H

#include "core.h"

/*
 * May the caller see this object, of which *info was just learnt? 0, or -ENOENT; -ENOMEM. Groups and
 * capabilities are loaded where they decide.
 */
int ipcfs_hide_check(const struct ipcfs_filesystem *fs, const struct ipcfs_space *space,
		     const struct ipcfs_backend *class, const struct ipcfs_info *info,
		     struct ipcfs_caller *caller);

#endif
