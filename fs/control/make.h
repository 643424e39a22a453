/* SPDX-License-Identifier: MIT */
/* Making objects, for mkdir(2) and the file `create`. */
#ifndef IPCFS_MAKE_H
#define IPCFS_MAKE_H

#include "fs/control/refusal.h"
#include "fs/tree/state.h"

/*
 * Makes the object of a specification in this view, as the caller of the request. Fills *info.
 * Reports to the audit. After an error *reason says why. If `reason` is NULL, a limit that was
 * reached is logged.
 * -ERESTART: it takes long (long_work.h), and nothing was done.
 * -ENOSPC: the caller owns max_objects objects, or a limit of the kernel was reached.
 * -ENOMEM, and the errors of class->make.
 */
int ipcfs_make(fuse_req_t req, const struct ipcfs_view *view, const struct ipcfs_spec *spec,
	       struct ipcfs_info *info, struct ipcfs_refusal *reason);

/*
 * Returns the mode for an object made by mkdir(2): r and w of the mode asked for, less the umask.
 * Mode 0777 with a umask means that the program asked for no mode: then 0600. Pure.
 */
mode_t ipcfs_make_mode(mode_t mode, mode_t umask);

#endif
