/* SPDX-License-Identifier: MIT */
/* The fixed part of the tree: which names stand in which directory. Pure. */
#ifndef IPCFS_SHAPE_H
#define IPCFS_SHAPE_H

#include "node.h"

/*
 * The name at `index` in this directory of the fixed part, and its key: view and class are those of the directory where
 * they say something, no references. False: there are no more.
 */
bool ipcfs_shape_at(const struct ipcfs_node_key *directory, size_t index, const char **name,
		    struct ipcfs_node_key *key);

/* The key of a name. -ENOENT. */
int ipcfs_shape_find(const struct ipcfs_node_key *directory, const char *name,
		     struct ipcfs_node_key *key);

/* Its own name; "" for those that are none of the fixed part's, or have another one each. */
const char *ipcfs_shape_name(const struct ipcfs_node_key *key);

#endif
