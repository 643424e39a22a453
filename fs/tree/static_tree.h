/* SPDX-License-Identifier: MIT */
/* The names that a directory has by the table of files, whatever objects there are. Pure. */
#ifndef IPCFS_STATIC_TREE_H
#define IPCFS_STATIC_TREE_H

#include "fs/tree/node.h"

/*
 * Returns the name at `index` in a directory, and the key of the node that the name leads to.
 * The key has the view, object and selector of the directory, but no references. `class` is the
 * class of the directory's object; NULL: the directory has none. Returns false if there are no
 * more names.
 */
bool ipcfs_static_tree_at(const struct ipcfs_node_key *directory, const struct ipcfs_class *class,
			  size_t index, const char **name, struct ipcfs_node_key *key);

/* Returns the key of a name, without references. -ENOENT: the directory has no such name. */
int ipcfs_static_tree_find(const struct ipcfs_node_key *directory, const struct ipcfs_class *class,
			   const char *name, struct ipcfs_node_key *key);

/* Returns the name of a node. "": the nodes of this kind have names of their own. */
const char *ipcfs_static_tree_name(const struct ipcfs_node_key *key);

#endif
