/* SPDX-License-Identifier: MIT */
/* The attributes of a node as they are now, for stat(2). */
#ifndef IPCFS_GETATTR_H
#define IPCFS_GETATTR_H

#include "fs/tree/state.h"

/*
 * Fills *st with the attributes of a node. If its object was removed and the node has an open
 * file, the link count is 0.
 * -ESTALE: the object is gone, and the node has no open file.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM, and the errors of the class.
 */
int ipcfs_getattr(fuse_req_t req, struct ipcfs_node *node, struct stat *st);

/*
 * The same after a change, which must not fail any more: where memory or descriptors have run out,
 * or where it takes long, the size is 0.
 */
int ipcfs_getattr_changed(fuse_req_t req, struct ipcfs_node *node, struct stat *st);

#endif
