/* SPDX-License-Identifier: MIT */
/*
 * The tree: nodes, objects, and the names that lead to them; attributes, permissions, listings.
 * Called by request/ and the rooms above it.
 * Calls audit/, namespaces/, access/ and base/, and the classes of backends/contract/.
 */
#ifndef IPCFS_TREE_H
#define IPCFS_TREE_H

#include "fs/tree/state.h"

/* The node that a name in a directory leads to. */
struct ipcfs_entry {
	struct ipcfs_node *node; /* the kernel's: one more lookup is counted in it */
	struct ipcfs_info info;	 /* of the node's object; not set if it has none */
};

/*
 * Looks a name up in the directory `parent`, for this caller.
 * -ENOENT: there is no such name, or `hide` keeps the object from the caller.
 * -ESTALE: the object of `parent` is gone. The kernel then looks the whole path up again.
 * -EINVAL: in type/ or prio/, the name is no number.
 * -ERANGE: in type/, prio/ or within/, the number is out of range.
 * -ENOMEM, -EMFILE, and the errors of the class.
 */
int ipcfs_tree_lookup(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
		      const char *name, struct ipcfs_caller *caller, struct ipcfs_entry *found);

/* Returns the node id of ns/. 0: the kernel has not looked ns/ up. */
uint64_t ipcfs_tree_namespaces_node(struct ipcfs_filesystem *fs);

/*
 * Returns in *node the node of an object that is in this directory of a class, under a spelling of
 * its name. One more lookup is counted in the node. A new node is charged to the uid.
 * -ENOMEM: also if max_bytes is reached.
 */
int ipcfs_tree_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		      const struct ipcfs_info *info, const char *name, uid_t uid,
		      struct ipcfs_node **node);

/*
 * Appends the target of a symbolic link. The target of self depends on the thread `tid`, which
 * reads the link.
 * -EINVAL: the node is no symbolic link.
 * -ENOENT: the link is self, and the namespace of the thread is not known.
 * -ENOMEM.
 */
int ipcfs_tree_link(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node, pid_t tid,
		    struct ipcfs_text *out);

#endif
