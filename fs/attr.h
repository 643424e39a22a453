/* SPDX-License-Identifier: MIT */
/* What stat(2) shows. */
#ifndef IPCFS_ATTR_H
#define IPCFS_ATTR_H

#include "core.h"

/* A number that is the same for the same file, whatever its node is called today. */
uint64_t ipcfs_attr_ino(const struct ipcfs_node_key *key);

/* As above, of an object that has no struct yet: key->object is not looked at. */
uint64_t ipcfs_attr_ino_of(const struct ipcfs_backend *class, const struct ipcfs_ref *ref,
			   const struct ipcfs_node_key *key);

/* The read and write bits that files of this kind can have at all: mode = object's mode & mask. */
mode_t ipcfs_attr_mask(const struct ipcfs_node_key *key);

/* S_IFDIR, S_IFREG or S_IFLNK. */
mode_t ipcfs_attr_type(const struct ipcfs_node_key *key);

/* Fill *st for a node of an object that was just looked at. */
void ipcfs_attr_fill(const struct ipcfs_node_key *key, const struct ipcfs_info *info,
		     struct stat *st);

/* Fill *st for a fixed node. */
void ipcfs_attr_fixed(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct stat *st);

/* Look now. -ESTALE: the object is gone. An open file of a removed object still has attributes: no links. */
int ipcfs_attr_look(fuse_req_t req, struct ipcfs_node *node, struct stat *st);

#endif
