/* SPDX-License-Identifier: MIT */
/* Making objects, for mkdir and for `create`. */
#ifndef IPCFS_MAKE_H
#define IPCFS_MAKE_H

#include "core.h"

/*
 * Make what spec asks for in this view, as the caller of the request. What the backend's make returns; a limit
 * that was reached is logged by its name.
 */
int ipcfs_make(fuse_req_t req, const struct ipcfs_view *view, const struct ipcfs_spec *spec,
	       struct ipcfs_info *info);

/* The mode for mkdir(2): what was asked for, or 0600 where nothing was (0777 with a umask). Pure. */
mode_t ipcfs_make_mode(mode_t mode, mode_t umask);

#endif
