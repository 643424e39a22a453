/* SPDX-License-Identifier: MIT */
/* Having the kernel forget what it knows of a view. */
#ifndef IPCFS_FORGET_H
#define IPCFS_FORGET_H

#include "core.h"

/*
 * Where a node stands: the key of the directory (no references), and its name in there. False: it is the view's root, whose
 * name is not the view's. Pure.
 */
bool ipcfs_forget_place(const struct ipcfs_node *node, struct ipcfs_node_key *directory,
			char name[NAME_MAX + 1]);

/*
 * Each name below the view's root is told to go by itself: of one that goes while something below it is in use, the rest could
 * not be told to go later. What is in use stays; it goes when this is called again. Not by who handles a request.
 */
void ipcfs_forget_view(struct ipcfs_filesystem *fs, const struct ipcfs_view *view);

#endif
