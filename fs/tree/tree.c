/* SPDX-License-Identifier: MIT */
#include "fs/tree/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "fs/base/number.h"
#include "fs/tree/hide.h"
#include "fs/tree/path.h"
#include "fs/tree/peek.h"
#include "fs/tree/static_tree.h"

#define WITHIN_MAX 1000000 /* seconds */

/* Parses a whole name as a number. -EINVAL: it is none. -ERANGE: it is not from min to max. */
static int parse_number(const char *name, long min, long max, int64_t *number)
{
	long value;
	int err = ipcfs_number_parse(name, strlen(name), min, max, &value);

	if (!err)
		*number = value;
	return err;
}

/* Parses N of type/N or prio/N. -EINVAL, -ERANGE: as for ipcfs_tree_lookup. */
static int parse_selector(const struct ipcfs_queue_ops *queue, const char *name, int64_t *selector)
{
	int err;

	if (!queue->typed_receive)
		return parse_number(name, queue->type_min, queue->type_max, selector);
	err = parse_number(name, -LONG_MAX, LONG_MAX, selector);
	return !err && *selector == 0 ? -ERANGE : err;
}

/* Parses SECONDS of within/SECONDS. -ENOENT: malformed. -ERANGE. */
static int parse_within(const char *name, uint64_t *within)
{
	uint64_t us;
	size_t size = strlen(name);
	int err = size < IPCFS_SECONDS_SIZE ? ipcfs_seconds_parse(name, size, WITHIN_MAX, &us)
					    : -EINVAL;

	if (err)
		return err == -EINVAL ? -ENOENT : err;
	*within = us + 1;
	return 0;
}

/* The arguments of ipcfs_tree_lookup. */
struct lookup {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_node *parent;
	const char *name;
	struct ipcfs_caller *caller;
	struct ipcfs_entry *found;
};

/* Returns in *node the node of an object that was found by `name` in this directory. */
static int object_node(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		       const struct ipcfs_ref *ref, const char *name, uid_t uid,
		       struct ipcfs_node **node)
{
	bool by_id = directory->key.kind == IPCFS_NODE_IDS;
	struct ipcfs_node_key key = { .kind = by_id ? IPCFS_NODE_ID_LINK : IPCFS_NODE_OBJECT,
				      .view = directory->key.view };
	struct ipcfs_object *object = ipcfs_object_get(&fs->objects,
						       ipcfs_node_space(fs, directory),
						       ipcfs_class_at(directory->key.class), ref);

	if (!object)
		return -ENOMEM;
	key.object = object->number;
	ipcfs_view_ref(ipcfs_node_view(fs, directory));
	if (by_id)
		*node = ipcfs_node_get(&fs->nodes, &key, 0, uid);
	else
		*node = ipcfs_node_get_spelled(&fs->nodes, &key,
					       strcmp(name, ref->name) != 0 ? name : NULL, uid);
	return *node ? 0 : -ENOMEM;
}

int ipcfs_tree_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		      const struct ipcfs_info *info, const char *name, uid_t uid,
		      struct ipcfs_node **node)
{
	return object_node(fs, directory, &info->ref, name, uid, node);
}

/* Finds the object of the name, unless it is hidden from the caller. */
static int find_object(const struct lookup *lookup)
{
	const struct ipcfs_class *class = ipcfs_class_at(lookup->parent->key.class);
	struct ipcfs_space *space = ipcfs_node_space(lookup->fs, lookup->parent);
	struct ipcfs_info *info = &lookup->found->info;
	int err = class->find(space, lookup->name, info);

	return err ? err : ipcfs_hide_check(lookup->fs, space, class, info, lookup->caller);
}

/* Looks up posix/mq/NAME and so on. */
static int lookup_in_class(const struct lookup *lookup)
{
	int err = find_object(lookup);

	return err ? err
		   : ipcfs_tree_object(lookup->fs, lookup->parent, &lookup->found->info,
				       lookup->name, lookup->caller->uid, &lookup->found->node);
}

/* Looks up by-id/CLASS/ID. */
static int lookup_by_id(const struct lookup *lookup)
{
	int64_t id;
	int err;

	if (parse_number(lookup->name, 0, INT_MAX, &id))
		return -ENOENT;
	err = find_object(lookup);
	return err ? err
		   : object_node(lookup->fs, lookup->parent, &lookup->found->info.ref, lookup->name,
				 lookup->caller->uid, &lookup->found->node);
}

/* Returns the key of a name in a directory of an object of this class, without references. */
static int key_below_object(const struct ipcfs_class *class, const struct ipcfs_node_key *parent,
			    const char *name, struct ipcfs_node_key *key)
{
	size_t index;
	long type;
	int err = ipcfs_static_tree_find(parent, class, name, key);

	if (!err)
		return 0;
	*key = (struct ipcfs_node_key){ .view = parent->view, .object = parent->object };
	switch (parent->kind) {
	case IPCFS_NODE_OBJECT:
		key->kind = IPCFS_NODE_SEMAPHORE;
		if (!(ipcfs_class_parts(class) & IPCFS_HAS_SETS) ||
		    parse_number(name, 0, INT_MAX, &key->selector))
			return -ENOENT;
		return 0;
	case IPCFS_NODE_TYPES:
	case IPCFS_NODE_PRIORITIES:
		key->kind = IPCFS_NODE_SELECTED;
		key->selected = 1;
		return parse_selector(class->queue, name, &key->selector);
	case IPCFS_NODE_WITHIN:
		*key = *parent;
		key->kind = IPCFS_NODE_TIMED;
		return parse_within(name, &key->within);
	case IPCFS_NODE_PEEKS:
		err = ipcfs_peek_parse(name, &index, &type);
		if (err)
			return err;
		key->kind = IPCFS_NODE_PEEK;
		key->selector = (int64_t)index;
		key->detail = type;
		return 0;
	default:
		return -ENOENT;
	}
}

/* Returns the node of a key below an object. Takes the references of the key. NULL: no memory. */
static struct ipcfs_node *node_below_object(const struct lookup *lookup,
					    const struct ipcfs_node_key *key)
{
	struct ipcfs_nodes *nodes = &lookup->fs->nodes;
	char canonical[IPCFS_TREE_NAME_SIZE];

	if (key->kind != IPCFS_NODE_TIMED)
		return ipcfs_node_get(nodes, key, lookup->caller->tid, lookup->caller->uid);
	ipcfs_tree_name(key, canonical);
	return ipcfs_node_get_spelled(nodes, key,
				      strcmp(lookup->name, canonical) != 0 ? lookup->name : NULL,
				      lookup->caller->uid);
}

/* Looks a name up in the directory of an object, or in one below. */
static int lookup_below_object(const struct lookup *lookup)
{
	struct ipcfs_filesystem *fs = lookup->fs;
	struct ipcfs_object *object = ipcfs_node_object(fs, lookup->parent);
	struct ipcfs_info *info = &lookup->found->info;
	struct ipcfs_node_key key;
	int err = key_below_object(object->class, &lookup->parent->key, lookup->name, &key);

	if (err)
		return err;
	err = object->class->stat_brief(object->space, &object->ref, info);
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	if (key.kind == IPCFS_NODE_SEMAPHORE && (uint64_t)key.selector >= info->size)
		return -ENOENT;
	if (key.kind == IPCFS_NODE_PEEK) {
		err = ipcfs_peek_size(fs, &key, &info->size);
		if (err)
			return err;
	}
	ipcfs_object_ref(&fs->objects, object);
	ipcfs_view_ref(ipcfs_node_view(fs, lookup->parent));
	lookup->found->node = node_below_object(lookup, &key);
	return lookup->found->node ? 0 : -ENOMEM;
}

/* Looks up the node of a key without an object. Takes the reference in key->view. */
static int fixed_node(const struct lookup *lookup, const struct ipcfs_node_key *key)
{
	lookup->found->node = ipcfs_node_get(&lookup->fs->nodes, key, lookup->caller->tid,
					     lookup->caller->uid);
	return lookup->found->node ? 0 : -ENOMEM;
}

/* Looks up a name that the directory has by the table of files. */
static int lookup_static(const struct lookup *lookup)
{
	struct ipcfs_node_key key;
	int err = ipcfs_static_tree_find(&lookup->parent->key, NULL, lookup->name, &key);

	if (err)
		return err;
	ipcfs_view_ref(ipcfs_view_at(lookup->fs->registry, key.view));
	return fixed_node(lookup, &key);
}

uint64_t ipcfs_tree_namespaces_node(struct ipcfs_filesystem *fs)
{
	const struct ipcfs_node_key key = { .kind = IPCFS_NODE_NAMESPACES };

	return ipcfs_node_find_id(&fs->nodes, &key);
}

/* Looks up ns/INUM. */
static int lookup_namespace(const struct lookup *lookup)
{
	struct ipcfs_node_key key = { .kind = IPCFS_NODE_TREE };
	struct ipcfs_view *view;
	int64_t inode;
	int err;

	if (parse_number(lookup->name, 1, LONG_MAX, &inode))
		return -ENOENT;
	err = ipcfs_registry_find(lookup->fs->registry, (uint64_t)inode, lookup->caller, &view);
	if (err)
		return err;
	key.view = view->number;
	return fixed_node(lookup, &key);
}

/* Looks up pid/PID: PID is a number of the caller's pid namespace. */
static int lookup_process(const struct lookup *lookup)
{
	struct ipcfs_node_key key = { .kind = IPCFS_NODE_PROCESS };
	uint64_t inode;
	pid_t pid;
	int err;

	if (parse_number(lookup->name, 1, INT_MAX, &key.detail))
		return -ENOENT;
	pid = ipcfs_namespace_process(lookup->caller->tid, (pid_t)key.detail);
	inode = ipcfs_namespace_of(pid);
	err = inode ? ipcfs_registry_check_process(pid, inode, lookup->caller) : -ENOENT;
	key.selector = (int64_t)inode;
	return err ? err : fixed_node(lookup, &key);
}

/* The directories whose names are not in the table of files. */
static int (*const lookups[IPCFS_NODE_KINDS])(const struct lookup *lookup) = {
	[IPCFS_NODE_CLASS] = lookup_in_class,
	[IPCFS_NODE_IDS] = lookup_by_id,
	[IPCFS_NODE_NAMESPACES] = lookup_namespace,
	[IPCFS_NODE_PROCESSES] = lookup_process,
};

int ipcfs_tree_lookup(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
		      const char *name, struct ipcfs_caller *caller, struct ipcfs_entry *found)
{
	const struct lookup lookup = { fs, parent, name, caller, found };
	int (*in_directory)(const struct lookup *lookup) = lookups[parent->key.kind];

	if (parent->key.object)
		return lookup_below_object(&lookup);
	return in_directory ? in_directory(&lookup) : lookup_static(&lookup);
}

int ipcfs_tree_link(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node, pid_t tid,
		    struct ipcfs_text *out)
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	uint64_t inode;

	switch (node->key.kind) {
	case IPCFS_NODE_ID_LINK:
		return ipcfs_text_printf(out, "../../%s/%s", object->class->name, object->ref.name);
	case IPCFS_NODE_SELF:
		inode = ipcfs_namespace_of(tid);
		return inode ? ipcfs_text_printf(out, "ns/%" PRIu64, inode) : -ENOENT;
	case IPCFS_NODE_INTO_SELF:
		return ipcfs_text_printf(out, "self/%s", ipcfs_static_tree_name(&node->key));
	case IPCFS_NODE_PROCESS:
		return ipcfs_text_printf(out, "../ns/%" PRId64, node->key.selector);
	default:
		return -EINVAL;
	}
}
