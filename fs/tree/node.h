/* SPDX-License-Identifier: MIT */
/*
 * Nodes: what the kernel knows of the tree, its inodes. A node id is the number of an item of a
 * table, so that an id that was forgotten never comes again. A node stands for a view, an object, a
 * kind of file and a selector. It lives until the kernel has forgotten all its lookups and closed
 * all its files; the root lives for ever.
 */
#ifndef IPCFS_NODE_H
#define IPCFS_NODE_H

#include "fs/base/table.h"
#include "fs/namespaces/registry.h"
#include "fs/tree/file_kinds.h"
#include "fs/tree/object.h"

/*
 * Identifies a file or directory of the tree. Plain data, compared as bytes: without padding, and
 * without addresses.
 */
struct ipcfs_node_key {
	uint32_t kind;	   /* enum ipcfs_node_kind */
	uint32_t view;	   /* number of a view, and a reference to it; 0: above the namespaces */
	uint32_t object;   /* number of an object, and a reference to it; 0: in the fixed part */
	uint32_t class;	   /* ipcfs_class_number of a CLASS or IDS directory; 0: another kind */
	uint64_t selected; /* 1: type/N/ or prio/N/, or below it; selector: N */
	int64_t selector;
	int64_t detail;
	uint64_t within; /* within/SECONDS/, or below it: the time, us, plus 1; else 0 */
};
_Static_assert(sizeof(struct ipcfs_node_key) == 48, "there is padding");

struct ipcfs_node {
	struct ipcfs_node_key key;
	uint64_t id;
	/* guarded by the lock of struct ipcfs_nodes */
	/*
	 * of an object's directory and within/SECONDS/: the other spelling of the last lookup;
	 * owned
	 */
	char *name;
	uint64_t lookups;		  /* that the kernel has not forgotten */
	unsigned opens, readers, writers; /* open files: all, for reading, for writing */
	pid_t looked_up_by;		  /* thread of the last lookup */
	uid_t uid;			  /* whose lookup made it, and is charged for it */
	bool shared;			  /* another uid has looked it up, too */
	bool current; /* in the hash: the next lookup of the key finds this node */
	UT_hash_handle hh;
};

/* All nodes of a mount. */
struct ipcfs_nodes {
	pthread_mutex_t lock;
	struct ipcfs_table table; /* of struct ipcfs_node, by node id */
	struct ipcfs_node *hash;  /* the current nodes, by key */
	struct ipcfs_objects *objects;
	struct ipcfs_registry *registry;
	struct ipcfs_quota *quota;
	/* What the trimmer (trim.h) waits for; guarded by `lock`. */
	pthread_cond_t wake;
	bool pressed; /* `presser`, who has charged a node, uses more than half of max_bytes */
	uid_t presser;
	uint32_t count;		     /* of nodes */
	uint64_t gone;		     /* nodes that were freed since the start */
	uint32_t most;		     /* of nodes, since memory was given back last */
	bool shrunk;		     /* many nodes are gone */
	struct ipcfs_ledger *ledger; /* not owned; NULL: no worker comes after this one */
};

#define IPCFS_NODE_ROOT_ID 1 /* FUSE_ROOT_ID; the index, too */

/*
 * Makes the table and its root node: the tree of the registry's home, or, if the registry shows all
 * namespaces, the root above them. Borrows the others. Free with ipcfs_nodes_destroy. -ENOMEM.
 */
int ipcfs_nodes_init(struct ipcfs_nodes *nodes, struct ipcfs_objects *objects,
		     struct ipcfs_registry *registry, struct ipcfs_quota *quota);
void ipcfs_nodes_destroy(struct ipcfs_nodes *nodes);

/*
 * Makes anew the nodes that a worker before has left in the ledger, of objects that were restored.
 * Drops entries that make no sense.
 */
void ipcfs_nodes_restore(struct ipcfs_nodes *nodes);

/* Adds the layout of a node in the ledger, and the kinds of files, to a hash: see layout.h. */
uint64_t ipcfs_node_layout(uint64_t hash);

/* Drops the nodes that the kernel does not know, and that have no open file. */
void ipcfs_nodes_restored(struct ipcfs_nodes *nodes);

/*
 * Returns the node of this id, whatever the kernel sent. It lives as long as the kernel has a
 * lookup of it. NULL: there is no such node.
 */
struct ipcfs_node *ipcfs_node_at(struct ipcfs_nodes *nodes, uint64_t id);

/* Returns the id of the current node of this key. 0: there is none. */
uint64_t ipcfs_node_find_id(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key);

/*
 * Returns the node of this key, for a lookup by the thread `tid` (0: unknown) of `uid`, and counts
 * the lookup. A new node is charged to the uid. Takes the references in key->object and key->view,
 * also on failure. NULL: no memory, or the uid has reached max_bytes.
 *
 * A file gets a new node where sharing the kernel's inode would do harm:
 * - A write may wait (IPCFS_FILE_WRITE_WAITS; all files in within/SECONDS/), and the file is open
 *   for writing, or another thread looked it up last and may be about to open it. A write that
 *   waits holds the lock of the inode.
 * - Another uid writes bytes that a close completes (IPCFS_FILE_CLOSE_COMPLETES). A write(2) from
 *   memory that nobody provides holds the lock of the inode, and so each uid stops only itself.
 * - A file of an object has no size (IPCFS_FILE_SIZELESS) but offsets (no IPCFS_FILE_STREAM), and
 *   is open for reading, or another thread looked it up last. A stat(2) sets the size of the inode
 *   to 0, and sendfile(2) then sees the end of the file. The kernel refuses sendfile(2) on a
 *   stream, but for one into a pipe.
 */
struct ipcfs_node *ipcfs_node_get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				  pid_t tid, uid_t uid);

/*
 * Returns the node of an object's directory, or of within/SECONDS/, as ipcfs_node_get does. All
 * spellings of a name lead to this node, so that the kernel has one inode with one flock(2). The
 * kernel keeps one name for a directory, that of the last lookup. Copies `spelling`; NULL: it is
 * the canonical name.
 */
struct ipcfs_node *ipcfs_node_get_spelled(struct ipcfs_nodes *nodes,
					  const struct ipcfs_node_key *key, const char *spelling,
					  uid_t uid);

/* Where a node stands, as the kernel knows it. */
struct ipcfs_node_location {
	uint64_t directory; /* a node id */
	char name[NAME_MAX + 1];
};

/*
 * Returns the key of a node's directory, without references, and the node's name in that directory.
 * Returns false if the node is in no directory, or not wanted. Called with nodes->lock held.
 */
typedef bool ipcfs_node_locate(void *arg, const struct ipcfs_node *node,
			       struct ipcfs_node_key *directory, char name[NAME_MAX + 1]);

/*
 * Appends the location of each node that `locate` finds, a struct ipcfs_node_location, to
 * *locations. Nodes whose directory the kernel does not know are left out. Looks at some hundred
 * nodes from the index *from on, which is set to the next one. Begin with IPCFS_NODE_ROOT_ID.
 * Returns 1, or 0 after the last node.
 * -ENOMEM: some locations are missing.
 */
int ipcfs_nodes_locations(struct ipcfs_nodes *nodes, uint32_t *from, ipcfs_node_locate *locate,
			  void *arg, struct ipcfs_text *locations);

/*
 * Calls each(arg) for the nodes of an object that have open files, with nodes->lock held. Looks at
 * some hundred nodes from the index *from on, which is set to the next one. Begin with
 * IPCFS_NODE_ROOT_ID. Returns 1, or 0 after the last node. Ends early with the result of `each` if
 * that is an error.
 */
int ipcfs_nodes_each_open(struct ipcfs_nodes *nodes, uint32_t object, uint32_t *from,
			  int (*each)(void *arg, const struct ipcfs_node *node), void *arg);

/*
 * Takes `count` lookups off a node, which the kernel has forgotten. The last one frees the node.
 * Does nothing if there is no such node.
 */
void ipcfs_node_forget(struct ipcfs_nodes *nodes, uint64_t id, uint64_t count);

/*
 * Counts one more lookup of a node, so that it and its object stay while a request is handled that
 * another thread may answer. False: there is no such node. End it with ipcfs_node_forget.
 */
bool ipcfs_node_hold(struct ipcfs_nodes *nodes, uint64_t id);

/* Count an open file of a node, and its end. The end of the last one may free the node. */
void ipcfs_node_opened(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes);
void ipcfs_node_closed(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes);

/* Returns whether the node has an open file. */
bool ipcfs_node_is_open(struct ipcfs_nodes *nodes, struct ipcfs_node *node);

#endif
