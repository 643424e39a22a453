/* SPDX-License-Identifier: MIT */
/*
 * Nodes: what the kernel knows of the tree. A node id is an index into a table of plain items; it
 * stands for (view, object, kind of file, selector) and lives until the kernel forgets it. The root is
 * never forgotten.
 */
#ifndef IPCFS_NODE_H
#define IPCFS_NODE_H

#include "object.h"
#include "registry.h"
#include "table.h"

enum ipcfs_node_kind {
	IPCFS_NODE_NONE,
	/* above the namespaces */
	IPCFS_NODE_ROOT,       /* of a mount that shows all of them */
	IPCFS_NODE_NAMESPACES, /* ns/ */
	IPCFS_NODE_PROCESSES,  /* pid/ */
	IPCFS_NODE_PROCESS,    /* pid/PID; selector: the namespace, detail: PID */
	IPCFS_NODE_SELF,       /* the link to the caller's own */
	IPCFS_NODE_INTO_SELF,  /* the links below that one; selector: see shape.c */
	/* the fixed part of one */
	IPCFS_NODE_TREE,   /* its root */
	IPCFS_NODE_FAMILY, /* posix/, sysv/; selector: see shape.c */
	IPCFS_NODE_BY_ID,
	IPCFS_NODE_CREATE,
	IPCFS_NODE_LIMITS,
	IPCFS_NODE_LIMIT, /* selector: index into ipcfs_limits */
	IPCFS_NODE_CLASS,
	IPCFS_NODE_IDS, /* by-id/CLASS */
	/* of an object */
	IPCFS_NODE_ID_LINK, /* by-id/CLASS/ID */
	IPCFS_NODE_ALIAS,   /* another spelling of its name; detail: a hash of it */
	IPCFS_NODE_OBJECT,
	IPCFS_NODE_SELECTORS, /* prio/ or type/ */
	IPCFS_NODE_SELECTED,  /* prio/N/ or type/N/; selector: N */
	IPCFS_NODE_MSG,
	IPCFS_NODE_LINES,
	IPCFS_NODE_TAGGED,
	IPCFS_NODE_PACKETS,
	IPCFS_NODE_DRAIN,
	IPCFS_NODE_STATUS,
	IPCFS_NODE_MAX_BYTES, /* qbytes */
	IPCFS_NODE_PEEKS,     /* peek/ */
	IPCFS_NODE_PEEK,      /* peek/INDEX.TYPE; selector: INDEX, detail: TYPE */
	IPCFS_NODE_DATA,      /* the memory of a segment */
	/* of a semaphore; selector: its number in the set */
	IPCFS_NODE_SEMAPHORE, /* N/ of a set */
	IPCFS_NODE_VALUE,
	IPCFS_NODE_WAIT,
	IPCFS_NODE_TRYWAIT,
	IPCFS_NODE_POST,
	IPCFS_NODE_ZERO,
	IPCFS_NODE_HOLD,
	IPCFS_NODE_TRYHOLD,
	IPCFS_NODE_VALUES, /* of the whole set, as op */
	IPCFS_NODE_OP,
};

struct ipcfs_node_key {
	struct ipcfs_view *view;	   /* a reference; NULL above the namespaces */
	struct ipcfs_object *object;	   /* a reference; NULL in the fixed part */
	const struct ipcfs_backend *class; /* of CLASS and IDS; NULL elsewhere */
	uint32_t kind;
	bool selected; /* selector says something, as below prio/N and type/N */
	long selector;
	long detail;
};

struct ipcfs_node {
	struct ipcfs_node_key key;
	uint32_t index; /* the node id */
	char *name;	/* of an alias: how it is spelled; owned */
	/* guarded by the table's lock */
	uint64_t lookups;
	unsigned opens, readers, writers;
	pid_t looker; /* the thread that looked it up last */
	bool current; /* what the next lookup finds */
	UT_hash_handle hh;
};

struct ipcfs_nodes {
	pthread_mutex_t lock;
	struct ipcfs_table table;
	struct ipcfs_node *hash;
	struct ipcfs_objects *objects;
};

#define IPCFS_NODE_ROOT_ID 1 /* as the kernel has it */

/* Makes the root, of this view (a reference) or, where that is NULL, of all namespaces. -ENOMEM. */
int ipcfs_nodes_init(struct ipcfs_nodes *nodes, struct ipcfs_objects *objects,
		     struct ipcfs_view *view);
void ipcfs_nodes_destroy(struct ipcfs_nodes *nodes);

/* The node of this id; NULL for one that the kernel can't know. Good while the kernel holds a lookup. */
struct ipcfs_node *ipcfs_node_at(struct ipcfs_nodes *nodes, uint64_t id);

/* The id of the node that has this key, where the kernel knows one; 0. */
uint64_t ipcfs_node_known(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key);

/* The space that holds what this directory of a class shows, or this object. NULL elsewhere. */
static inline struct ipcfs_space *ipcfs_node_space(const struct ipcfs_node *node)
{
	if (node->key.object)
		return node->key.object->space;
	return node->key.class ? ipcfs_view_space(node->key.view, node->key.class) : NULL;
}

/*
 * The node of this key, with one more lookup counted, for this thread. Takes the caller's references on
 * key->object and key->view, also on failure. NULL: no memory.
 *
 * Files get a fresh node where sharing one would hurt, because of what the kernel keeps with it: a
 * parked write locks it (so none is shared with a writer where writing may wait), and a size that
 * others reset makes sendfile(2) see the end of file (so none is shared with a reader, or with somebody who
 * has looked it up and is about to open it).
 */
struct ipcfs_node *ipcfs_node_get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				  pid_t tid);

/* The same for an alias, by its spelling. */
struct ipcfs_node *ipcfs_node_get_alias(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
					const char *name);

/* Where the kernel knows a node. */
struct ipcfs_node_place {
	uint64_t directory; /* a node id */
	char name[NAME_MAX + 1];
};

/*
 * The places of all nodes of a view, as struct ipcfs_node_place behind what is in *places; `place` tells the directory's key and
 * the name, or that there is none. -ENOMEM: not all.
 */
int ipcfs_nodes_places(struct ipcfs_nodes *nodes, const struct ipcfs_view *view,
		       bool (*place)(const struct ipcfs_node *node,
				     struct ipcfs_node_key *directory, char name[NAME_MAX + 1]),
		       struct ipcfs_text *places);

/* The kernel forgets `count` lookups. */
void ipcfs_node_forget(struct ipcfs_nodes *nodes, uint64_t id, uint64_t count);

/* An open file comes and goes. */
void ipcfs_node_opened(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes);
void ipcfs_node_closed(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes);
bool ipcfs_node_is_open(struct ipcfs_nodes *nodes, struct ipcfs_node *node);

/* A file whose size says nothing: it is 0 in stat(2). */
static inline bool ipcfs_node_is_sizeless(const struct ipcfs_node *node)
{
	return (node->key.kind >= IPCFS_NODE_MSG && node->key.kind <= IPCFS_NODE_DRAIN) ||
	       node->key.kind == IPCFS_NODE_MAX_BYTES || node->key.kind == IPCFS_NODE_LIMIT ||
	       node->key.kind == IPCFS_NODE_CREATE ||
	       (node->key.kind >= IPCFS_NODE_VALUE && node->key.kind <= IPCFS_NODE_OP);
}

static inline bool ipcfs_node_is_semaphore(const struct ipcfs_node *node)
{
	return node->key.kind >= IPCFS_NODE_VALUE && node->key.kind <= IPCFS_NODE_OP;
}

static inline bool ipcfs_node_is_hold(const struct ipcfs_node *node)
{
	return node->key.kind == IPCFS_NODE_HOLD || node->key.kind == IPCFS_NODE_TRYHOLD;
}

static inline bool ipcfs_node_is_channel(const struct ipcfs_node *node)
{
	return node->key.kind >= IPCFS_NODE_MSG && node->key.kind <= IPCFS_NODE_DRAIN;
}

#endif
