/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "hide.h"
#include "number.h"
#include "peek.h"
#include "shape.h"

static const struct {
	const char *name;
	enum ipcfs_node_kind kind;
} channel_names[] = {
	{ "msg", IPCFS_NODE_MSG },	 { "lines", IPCFS_NODE_LINES },
	{ "tagged", IPCFS_NODE_TAGGED }, { "packets", IPCFS_NODE_PACKETS },
	{ "drain", IPCFS_NODE_DRAIN },
};
#define CHANNELS (sizeof(channel_names) / sizeof(*channel_names))

/* The files of a single semaphore, and those that only a set has. */
static const struct {
	const char *name;
	enum ipcfs_node_kind kind;
	bool of_set, of_each; /* in a set's directory; in N/ */
	bool of_one;	      /* in the directory of a class that has no sets */
} semaphore_names[] = {
	{ "value", IPCFS_NODE_VALUE, false, true, true },
	{ "wait", IPCFS_NODE_WAIT, false, true, true },
	{ "trywait", IPCFS_NODE_TRYWAIT, false, true, true },
	{ "post", IPCFS_NODE_POST, false, true, true },
	{ "zero", IPCFS_NODE_ZERO, false, true, false },
	{ "hold", IPCFS_NODE_HOLD, false, true, true },
	{ "tryhold", IPCFS_NODE_TRYHOLD, false, true, true },
	{ "values", IPCFS_NODE_VALUES, true, false, false },
	{ "op", IPCFS_NODE_OP, true, false, false },
};
#define SEMAPHORE_NAMES (sizeof(semaphore_names) / sizeof(*semaphore_names))

static const char *selectors_name(const struct ipcfs_backend *class)
{
	return class->queue->typed_receive ? "type" : "prio";
}

/* The kind of a fixed name in an object's directory; IPCFS_NODE_NONE. */
static enum ipcfs_node_kind kind_in_object(const struct ipcfs_backend *class, const char *name)
{
	if (strcmp(name, "status") == 0)
		return IPCFS_NODE_STATUS;
	if (class->segment && strcmp(name, "data") == 0)
		return IPCFS_NODE_DATA;
	if (!class->queue)
		return IPCFS_NODE_NONE;
	if ((class->change_fields & IPCFS_CHANGE_MAX_BYTES) && strcmp(name, "qbytes") == 0)
		return IPCFS_NODE_MAX_BYTES;
	if (class->queue->peek && strcmp(name, "peek") == 0)
		return IPCFS_NODE_PEEKS;
	if (strcmp(name, selectors_name(class)) == 0)
		return IPCFS_NODE_SELECTORS;
	for (size_t i = 0; i < CHANNELS; i++)
		if (strcmp(name, channel_names[i].name) == 0)
			return channel_names[i].kind;
	return IPCFS_NODE_NONE;
}

/* A name in a semaphore's directory, a set's, or below N/ of a set. */
static int semaphore_key(const struct ipcfs_node *parent, const char *name,
			 struct ipcfs_node_key *key)
{
	bool sets = key->object->class->semaphore->sets;
	bool each = parent->key.kind == IPCFS_NODE_SEMAPHORE;

	key->selector = parent->key.selector;
	for (size_t i = 0; i < SEMAPHORE_NAMES; i++) {
		if (strcmp(name, semaphore_names[i].name) != 0)
			continue;
		if (each   ? semaphore_names[i].of_each
		    : sets ? semaphore_names[i].of_set
			   : semaphore_names[i].of_one) {
			key->kind = semaphore_names[i].kind;
			return 0;
		}
	}
	if (each)
		return -ENOENT;
	if (strcmp(name, "status") == 0) {
		key->kind = IPCFS_NODE_STATUS;
		return 0;
	}
	key->kind = IPCFS_NODE_SEMAPHORE;
	if (sets && !ipcfs_number_parse(name, strlen(name), 0, INT_MAX, &key->selector))
		return 0;
	return -ENOENT;
}

/* What stands below prio/N and type/N: what can be used with a priority, with a type. */
static enum ipcfs_node_kind kind_in_selected(const struct ipcfs_node_key *parent, const char *name)
{
	for (size_t i = 0; i < CHANNELS; i++) {
		enum ipcfs_node_kind kind = channel_names[i].kind;

		if (strcmp(name, channel_names[i].name) != 0)
			continue;
		if (!parent->object->class->queue->typed_receive &&
		    (kind == IPCFS_NODE_DRAIN || kind == IPCFS_NODE_TAGGED))
			return IPCFS_NODE_NONE;
		return kind;
	}
	return IPCFS_NODE_NONE;
}

static int parse_selector(const struct ipcfs_queue_ops *queue, const char *name, long *selector)
{
	int err;

	if (!queue->typed_receive)
		return ipcfs_number_parse(name, strlen(name), queue->type_min, queue->type_max,
					  selector);
	err = ipcfs_number_parse(name, strlen(name), -LONG_MAX, LONG_MAX, selector);
	return !err && *selector == 0 ? -ERANGE : err;
}

/* The node of an object that was just found in this directory; `alias` is how an alias is spelled. */
static int object_node(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		       enum ipcfs_node_kind kind, const struct ipcfs_info *info, const char *alias,
		       struct ipcfs_node **node)
{
	struct ipcfs_node_key key = { .view = directory->key.view, .kind = kind };

	key.object = ipcfs_object_get(&fs->objects, ipcfs_node_space(directory),
				      directory->key.class, &info->ref);
	if (!key.object)
		return -ENOMEM;
	ipcfs_view_hold(key.view);
	*node = alias ? ipcfs_node_get_alias(&fs->nodes, &key, alias)
		      : ipcfs_node_get(&fs->nodes, &key, 0);
	return *node ? 0 : -ENOMEM;
}

int ipcfs_tree_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		      const struct ipcfs_info *info, struct ipcfs_node **node)
{
	return object_node(fs, directory, IPCFS_NODE_OBJECT, info, NULL, node);
}

static int find_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
		       const char *name, struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	const struct ipcfs_backend *class = parent->key.class;
	struct ipcfs_space *space = ipcfs_node_space(parent);
	int err = class->find(space, name, &found->info);

	return err ? err : ipcfs_hide_check(fs, space, class, &found->info, caller);
}

static int lookup_in_class(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
			   const char *name, struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	int err = find_object(fs, parent, name, caller, found);

	if (err)
		return err;
	if (strcmp(found->info.ref.name, name) != 0)
		return object_node(fs, parent, IPCFS_NODE_ALIAS, &found->info, name, &found->node);
	return object_node(fs, parent, IPCFS_NODE_OBJECT, &found->info, NULL, &found->node);
}

static int lookup_by_id(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
			const char *name, struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	long id;
	int err;

	if (ipcfs_number_parse(name, strlen(name), 0, INT_MAX, &id))
		return -ENOENT;
	err = find_object(fs, parent, name, caller, found);
	return err ? err
		   : object_node(fs, parent, IPCFS_NODE_ID_LINK, &found->info, NULL, &found->node);
}

int ipcfs_tree_key(const struct ipcfs_node *parent, const char *name, struct ipcfs_node_key *key)
{
	const struct ipcfs_backend *class = parent->key.object->class;
	size_t index;
	int err;

	*key = (struct ipcfs_node_key){
		.view = parent->key.view,
		.object = parent->key.object,
	};
	if (class->semaphore)
		return semaphore_key(parent, name, key);
	switch (parent->key.kind) {
	case IPCFS_NODE_OBJECT:
		key->kind = kind_in_object(class, name);
		break;
	case IPCFS_NODE_SELECTORS:
		key->kind = IPCFS_NODE_SELECTED;
		key->selected = true;
		return parse_selector(class->queue, name, &key->selector);
	case IPCFS_NODE_SELECTED:
		key->kind = kind_in_selected(&parent->key, name);
		key->selected = true;
		key->selector = parent->key.selector;
		break;
	case IPCFS_NODE_PEEKS:
		err = ipcfs_peek_parse(name, &index, &key->detail);
		key->kind = IPCFS_NODE_PEEK;
		key->selector = (long)index;
		return err;
	default:
		return -ENOTDIR;
	}
	return key->kind == IPCFS_NODE_NONE ? -ENOENT : 0;
}

static int lookup_below_object(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
			       const char *name, pid_t tid, struct ipcfs_found *found)
{
	struct ipcfs_object *object = parent->key.object;
	struct ipcfs_node_key key;
	int err;

	err = ipcfs_tree_key(parent, name, &key);
	if (err)
		return err;
	err = object->class->glance(object->space, &object->ref, &found->info);
	if (err)
		return err == -ENOENT ? -ESTALE : err;
	if (key.kind == IPCFS_NODE_SEMAPHORE && (uint64_t)key.selector >= found->info.size)
		return -ENOENT;
	if (key.kind == IPCFS_NODE_PEEK) {
		err = ipcfs_peek_size(fs, &key, &found->info.size);
		if (err)
			return err;
	}
	ipcfs_object_hold(&fs->objects, object);
	ipcfs_view_hold(key.view);
	found->node = ipcfs_node_get(&fs->nodes, &key, tid);
	return found->node ? 0 : -ENOMEM;
}

/* Of the fixed part: the key's view is a reference by now. */
static int fixed_node(struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key,
		      struct ipcfs_node **node)
{
	*node = ipcfs_node_get(&fs->nodes, key, 0);
	return *node ? 0 : -ENOMEM;
}

static int lookup_fixed(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
			const char *name, struct ipcfs_found *found)
{
	struct ipcfs_node_key key;
	int err = ipcfs_shape_find(&parent->key, name, &key);

	if (err)
		return err;
	ipcfs_view_hold(key.view);
	return fixed_node(fs, &key, &found->node);
}

uint64_t ipcfs_tree_namespaces(struct ipcfs_filesystem *fs)
{
	const struct ipcfs_node_key root = { .kind = IPCFS_NODE_ROOT };
	struct ipcfs_node_key key;

	return ipcfs_shape_find(&root, "ns", &key) ? 0 : ipcfs_node_known(&fs->nodes, &key);
}

static int lookup_namespace(struct ipcfs_filesystem *fs, const char *name,
			    struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	struct ipcfs_node_key key = { .kind = IPCFS_NODE_TREE };
	long inode;
	int err;

	if (ipcfs_number_parse(name, strlen(name), 1, LONG_MAX, &inode))
		return -ENOENT;
	err = ipcfs_registry_find(fs->registry, (uint64_t)inode, caller, &key.view);
	return err ? err : fixed_node(fs, &key, &found->node);
}

static int lookup_process(struct ipcfs_filesystem *fs, const char *name,
			  struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	struct ipcfs_node_key key = { .kind = IPCFS_NODE_PROCESS };
	uint64_t inode;
	pid_t pid;
	int err;

	if (ipcfs_number_parse(name, strlen(name), 1, INT_MAX, &key.detail))
		return -ENOENT;
	pid = ipcfs_namespace_process(caller->tid, (pid_t)key.detail);
	inode = ipcfs_namespace_of(pid);
	err = inode ? ipcfs_registry_check_process(pid, inode, caller) : -ENOENT;
	key.selector = (long)inode;
	return err ? err : fixed_node(fs, &key, &found->node);
}

int ipcfs_tree_lookup(struct ipcfs_filesystem *fs, const struct ipcfs_node *parent,
		      const char *name, struct ipcfs_caller *caller, struct ipcfs_found *found)
{
	if (parent->key.object)
		return lookup_below_object(fs, parent, name, caller->tid, found);
	switch (parent->key.kind) {
	case IPCFS_NODE_CLASS:
		return lookup_in_class(fs, parent, name, caller, found);
	case IPCFS_NODE_IDS:
		return lookup_by_id(fs, parent, name, caller, found);
	case IPCFS_NODE_NAMESPACES:
		return lookup_namespace(fs, name, caller, found);
	case IPCFS_NODE_PROCESSES:
		return lookup_process(fs, name, caller, found);
	default:
		return lookup_fixed(fs, parent, name, found);
	}
}

/* Its own name, where that is fixed; "". */
static const char *fixed_name(enum ipcfs_node_kind kind)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if (channel_names[i].kind == kind)
			return channel_names[i].name;
	for (size_t i = 0; i < SEMAPHORE_NAMES; i++)
		if (semaphore_names[i].kind == kind)
			return semaphore_names[i].name;
	switch (kind) {
	case IPCFS_NODE_STATUS:
		return "status";
	case IPCFS_NODE_MAX_BYTES:
		return "qbytes";
	case IPCFS_NODE_DATA:
		return "data";
	case IPCFS_NODE_PEEKS:
		return "peek";
	default:
		return "";
	}
}

void ipcfs_tree_file(const struct ipcfs_node_key *key, char file[IPCFS_TREE_FILE_ROOM])
{
	const struct ipcfs_backend *class = key->object->class;
	const char *name = fixed_name(key->kind);
	const size_t room = IPCFS_TREE_FILE_ROOM;

	if (key->kind == IPCFS_NODE_PEEK)
		snprintf(file, room, "peek/%ld.%ld", key->selector, key->detail);
	else if (key->kind == IPCFS_NODE_SELECTORS)
		snprintf(file, room, "%s", selectors_name(class));
	else if (key->selected)
		snprintf(file, room, "%s/%ld%s%s", selectors_name(class), key->selector,
			 *name ? "/" : "", name);
	else if (key->kind == IPCFS_NODE_SEMAPHORE)
		snprintf(file, room, "%ld", key->selector);
	else if (key->kind >= IPCFS_NODE_VALUE && key->kind <= IPCFS_NODE_TRYHOLD &&
		 class->semaphore->sets)
		snprintf(file, room, "%ld/%s", key->selector, name);
	else
		snprintf(file, room, "%s", name);
}

int ipcfs_tree_link(const struct ipcfs_node *node, pid_t tid, struct ipcfs_text *out)
{
	const struct ipcfs_object *object = node->key.object;
	uint64_t inode;

	switch (node->key.kind) {
	case IPCFS_NODE_ALIAS:
		return ipcfs_text_printf(out, "%s", object->ref.name);
	case IPCFS_NODE_ID_LINK:
		return ipcfs_text_printf(out, "../../%s/%s", object->class->class_name,
					 object->ref.name);
	case IPCFS_NODE_SELF:
		inode = ipcfs_namespace_of(tid);
		return inode ? ipcfs_text_printf(out, "ns/%" PRIu64, inode) : -ENOENT;
	case IPCFS_NODE_INTO_SELF:
		return ipcfs_text_printf(out, "self/%s", ipcfs_shape_name(&node->key));
	case IPCFS_NODE_PROCESS:
		return ipcfs_text_printf(out, "../ns/%ld", node->key.selector);
	default:
		return -EINVAL;
	}
}
