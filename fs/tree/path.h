/* SPDX-License-Identifier: MIT */
/* Where a node stands below the directory of its object. Pure functions. */
#ifndef IPCFS_PATH_H
#define IPCFS_PATH_H

#include "fs/tree/node.h"

#define IPCFS_TREE_NAME_SIZE 64	 /* bytes of a name below an object, with its NUL */
#define IPCFS_TREE_PATH_SIZE 128 /* bytes of a path below an object, with its NUL */

/*
 * Returns the key of the directory that a node stands in, without references. The node is one below
 * the directory of an object of this class.
 */
struct ipcfs_node_key ipcfs_tree_directory(const struct ipcfs_class *class,
					   const struct ipcfs_node_key *key);

/* Writes the canonical name of a node in its directory. */
void ipcfs_tree_name(const struct ipcfs_node_key *key, char name[IPCFS_TREE_NAME_SIZE]);

/*
 * Writes the path of a node, relative to the directory of its object: "msg", "type/5/lines",
 * "0/within/2/wait". The path of the object's directory itself, and of a link to it, is "".
 */
void ipcfs_tree_path(const struct ipcfs_class *class, const struct ipcfs_node_key *key,
		     char path[IPCFS_TREE_PATH_SIZE]);

#endif
