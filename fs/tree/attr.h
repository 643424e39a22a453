/* SPDX-License-Identifier: MIT */
/* The attributes that stat(2) shows of a node. */
#ifndef IPCFS_ATTR_H
#define IPCFS_ATTR_H

#include "fs/tree/state.h"

/* Returns the inode number of a file. It is the same after a restart of the daemon. */
uint64_t ipcfs_attr_ino(const struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key);

/*
 * Returns the inode number of a file of the object `ref`, of this class and in this view. The
 * object need not have a struct ipcfs_object: key->object is not used.
 */
uint64_t ipcfs_attr_ino_of(const struct ipcfs_view *view, const struct ipcfs_class *class,
			   const struct ipcfs_ref *ref, const struct ipcfs_node_key *key);

/* Returns the inode number of ns/INUM. `inode` is INUM, the inode number of the IPC namespace. */
uint64_t ipcfs_attr_ino_of_namespace(uint64_t inode);

/*
 * Returns the permission bits that this file of an object of this class can have. The file's
 * mode is the object's mode, without all other bits.
 */
mode_t ipcfs_attr_mask(const struct ipcfs_class *class, const struct ipcfs_node_key *key);

/*
 * Returns whether a file of an object of this class has a mode of its own, to which the object's
 * mode and list do not apply: everybody may read status and users of a System V object, as ipcs(1)
 * shows it, and the kernel judges writes to qbytes.
 */
static inline bool ipcfs_attr_has_own_mode(const struct ipcfs_class *class,
					   enum ipcfs_node_kind kind)
{
	if (kind == IPCFS_NODE_STATUS || kind == IPCFS_NODE_USERS)
		return class->rule == IPCFS_RULE_SYSV;
	return ipcfs_file_kind_has(kind, IPCFS_FILE_OWN_MODE);
}

/* Returns S_IFDIR, S_IFREG or S_IFLNK. */
static inline mode_t ipcfs_attr_type(const struct ipcfs_node_key *key)
{
	return ipcfs_file_kinds[key->kind].type;
}

/* Fills *st for a node of an object. `info` is what the class has just told of the object. */
void ipcfs_attr_fill(const struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key,
		     const struct ipcfs_info *info, struct stat *st);

/* Fills *st for a node that has no object. */
void ipcfs_attr_fixed(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct stat *st);

#endif
