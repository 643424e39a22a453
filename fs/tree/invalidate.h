/* SPDX-License-Identifier: MIT */
/* Telling the kernel to drop names that it caches: of a view, or of nodes that nobody uses. */
#ifndef IPCFS_INVALIDATE_H
#define IPCFS_INVALIDATE_H

#include "fs/tree/state.h"

/*
 * Tells the kernel to drop each name below the root of a view, one by one. A call for the topmost
 * names would not do: the kernel can't be told later of a name below them that was in use. Names in
 * use stay, and go when this is called again. Without memory only some names are dropped.
 * Must not be called by a thread that handles a request.
 */
void ipcfs_invalidate_view(struct ipcfs_filesystem *fs, const struct ipcfs_view *view);

/*
 * Tells the kernel to drop the names of nodes that this uid is charged for, and that have no open
 * file. The kernel keeps names that nobody uses until it needs the memory. Where a name is in use,
 * the use goes on, but getcwd(3) in such a directory fails until the name is looked up again. So
 * names of directories that other uids have looked up stay. Takes some hundred nodes from *from on,
 * as ipcfs_nodes_locations does, and adds to *names how many names it told. Returns whether there
 * are more nodes.
 * Must not be called by a thread that handles a request.
 */
bool ipcfs_invalidate_of(struct ipcfs_filesystem *fs, uid_t uid, uint32_t *from, size_t *names);

/*
 * Tells the kernel to drop all names, which may be of a worker that has ended: it answers mkdir(2) and
 * rmdir(2) in a directory that it knows by an old number with ESTALE, and looks up again only for
 * other calls. Must not be called by a thread that handles a request.
 */
void ipcfs_invalidate_all(struct ipcfs_filesystem *fs);

#endif
