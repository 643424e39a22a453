/* SPDX-License-Identifier: MIT */
/* The tree: names, what they lead to, and what a directory lists. */
#ifndef IPCFS_TREE_H
#define IPCFS_TREE_H

#include "core.h"

/* What a name in a directory leads to. */
struct ipcfs_found {
	struct ipcfs_node *node; /* with one more lookup counted, unless fixed */
	struct ipcfs_info info;	 /* of its object, where it has one */
};

/*
 * Look a name up, for this caller. -ENOENT: there is none, or it is hidden. -ESTALE: the directory's own object is gone (the kernel then
 * looks the whole path up anew). -EINVAL, -ERANGE: type/N and prio/N that are no number or out of range.
 */
int ipcfs_tree_lookup(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
		      const char *name, struct ipcfs_caller *caller, struct ipcfs_found *found);

/*
 * The key of a name in a directory of an object; pure. The object's reference is the parent's. Errors as
 * above.
 */
int ipcfs_tree_key(const struct ipcfs_node *parent, const char *name, struct ipcfs_node_key *key);

#define IPCFS_TREE_FILE_ROOM 64

/* Where in its object's directory a file stands ("msg", "type/5/lines", "0/wait"); "" for the directory itself. */
void ipcfs_tree_file(const struct ipcfs_node_key *key, char file[IPCFS_TREE_FILE_ROOM]);

/* The id of ns/, where the kernel knows it; 0. */
uint64_t ipcfs_tree_namespaces(struct ipcfs_filesystem *fs);

/* The node of an object of this class, with one more lookup counted. -ENOMEM. */
int ipcfs_tree_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		      const struct ipcfs_info *info, struct ipcfs_node **node);

/* Directories are listed from a snapshot that is taken when they are opened. */
struct ipcfs_listing_entry {
	size_t name;   /* where its name starts in names.data, with NUL */
	bool has_info; /* an object of the class: info is at `infos`[info] */
	size_t info;
	mode_t type; /* S_IFDIR, ... */
	uint64_t ino;
};

struct ipcfs_listing {
	struct ipcfs_text names;
	struct ipcfs_text entries; /* of struct ipcfs_listing_entry */
	struct ipcfs_text infos;   /* of struct ipcfs_info */
};

/* As this caller sees it. -ENOMEM, or what the backend said. Free with ipcfs_listing_free, also on failure. */
int ipcfs_tree_list(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		    struct ipcfs_caller *caller, struct ipcfs_listing *listing);
size_t ipcfs_listing_count(const struct ipcfs_listing *listing);
void ipcfs_listing_free(struct ipcfs_listing *listing);

/*
 * The text of a symbolic link node, as this thread sees it. -EINVAL: not one; -ENOENT: it leads nowhere for an
 * unknown thread; -ENOMEM.
 */
int ipcfs_tree_link(const struct ipcfs_node *node, pid_t tid, struct ipcfs_text *out);

#endif
