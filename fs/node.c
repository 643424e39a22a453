/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <errno.h>
#include <string.h>

static struct ipcfs_node *add_fixed(struct ipcfs_nodes *nodes, const struct ipcfs_node *parent,
				    enum ipcfs_node_kind kind, const char *name)
{
	uint32_t index;
	struct ipcfs_node *node = ipcfs_table_new(&nodes->table, &index);

	if (!node)
		return NULL;
	node->index = index;
	node->parent = parent ? parent->index : index;
	node->space = parent ? parent->space : NULL;
	node->key.kind = kind;
	node->name = name;
	nodes->fixed = index;
	return node;
}

static int add_limits(struct ipcfs_nodes *nodes, const struct ipcfs_node *root)
{
	struct ipcfs_node *directory = add_fixed(nodes, root, IPCFS_NODE_LIMITS, "limits");

	if (!directory)
		return -ENOMEM;
	for (size_t i = 0; ipcfs_limits[i].name; i++) {
		struct ipcfs_node *node = add_fixed(nodes, directory, IPCFS_NODE_LIMIT,
						    ipcfs_limits[i].name);

		if (!node)
			return -ENOMEM;
		node->key.selector = (long)i;
	}
	return 0;
}

static int add_class(struct ipcfs_nodes *nodes, const struct ipcfs_node *root,
		     const struct ipcfs_backend *class)
{
	struct ipcfs_node *family, *by_id, *node;

	family = ipcfs_node_fixed(nodes, root, class->family);
	if (!family)
		family = add_fixed(nodes, root, IPCFS_NODE_DIRECTORY, class->family);
	if (!family)
		return -ENOMEM;
	node = add_fixed(nodes, family, IPCFS_NODE_CLASS, class->class_name);
	if (!node)
		return -ENOMEM;
	node->class = class;
	if (!class->by_id)
		return 0;

	by_id = ipcfs_node_fixed(nodes, family, "by-id");
	if (!by_id)
		by_id = add_fixed(nodes, family, IPCFS_NODE_DIRECTORY, "by-id");
	if (!by_id)
		return -ENOMEM;
	node = add_fixed(nodes, by_id, IPCFS_NODE_IDS, class->class_name);
	if (!node)
		return -ENOMEM;
	node->class = class;
	return 0;
}

int ipcfs_nodes_init(struct ipcfs_nodes *nodes, struct ipcfs_objects *objects,
		     struct ipcfs_space *space)
{
	struct ipcfs_node *root;
	int err;

	*nodes = (struct ipcfs_nodes){ .objects = objects };
	err = ipcfs_table_init(&nodes->table, sizeof(struct ipcfs_node));
	if (err)
		return err;
	pthread_mutex_init(&nodes->lock, NULL);

	root = add_fixed(nodes, NULL, IPCFS_NODE_DIRECTORY, "");
	if (root)
		root->space = space;
	if (!root || !add_fixed(nodes, root, IPCFS_NODE_CREATE, "create"))
		err = -ENOMEM;
	if (!err)
		err = add_limits(nodes, root);
	for (size_t i = 0; !err && ipcfs_backends[i]; i++)
		err = add_class(nodes, root, ipcfs_backends[i]);
	if (err)
		ipcfs_nodes_destroy(nodes);
	return err;
}

void ipcfs_nodes_destroy(struct ipcfs_nodes *nodes)
{
	if (!nodes->table.chunks)
		return;
	HASH_CLEAR(hh, nodes->hash);
	for (uint32_t i = nodes->fixed + 1; i < nodes->table.used; i++) {
		struct ipcfs_node *node = ipcfs_table_at(&nodes->table, i);

		ipcfs_object_put(nodes->objects, node->key.object);
	}
	ipcfs_table_destroy(&nodes->table);
	pthread_mutex_destroy(&nodes->lock);
}

struct ipcfs_node *ipcfs_node_at(struct ipcfs_nodes *nodes, uint64_t id)
{
	struct ipcfs_node *node = ipcfs_table_at(&nodes->table, id);

	return node && node->key.kind != IPCFS_NODE_NONE ? node : NULL;
}

struct ipcfs_node *ipcfs_node_fixed(struct ipcfs_nodes *nodes, const struct ipcfs_node *parent,
				    const char *name)
{
	for (uint32_t i = parent->index + 1; i <= nodes->fixed; i++) {
		struct ipcfs_node *node = ipcfs_table_at(&nodes->table, i);

		if (node->parent == parent->index && strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

/* Write requests on these may be parked, and then hold the kernel's lock of the node. */
static bool write_may_wait(const struct ipcfs_node *node)
{
	switch (node->key.kind) {
	case IPCFS_NODE_LINES:
	case IPCFS_NODE_TAGGED:
	case IPCFS_NODE_PACKETS:
	case IPCFS_NODE_WAIT:
	case IPCFS_NODE_ZERO:
	case IPCFS_NODE_OP:
		return true;
	default:
		return false;
	}
}

/* Would sharing it hurt? See the header. Called with the lock held. */
static bool wants_fresh(const struct ipcfs_node *node, pid_t tid)
{
	if (!ipcfs_node_is_sizeless(node))
		return false;
	return node->readers || node->looker != tid || (node->writers && write_may_wait(node));
}

/* Called with the lock held. */
static struct ipcfs_node *node_add(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	uint32_t index;
	struct ipcfs_node *node = ipcfs_table_new(&nodes->table, &index);

	if (!node)
		return NULL;
	node->index = index;
	memcpy(&node->key, key, sizeof(node->key)); /* padding and all */
	HASH_ADD(hh, nodes->hash, key, sizeof(node->key), node);
	if (!node->hh.tbl) {
		node->key.object = NULL;
		ipcfs_table_free(&nodes->table, index);
		return NULL;
	}
	node->current = true;
	return node;
}

struct ipcfs_node *ipcfs_node_get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				  pid_t tid)
{
	struct ipcfs_node_key clean;
	struct ipcfs_node *node;
	bool have_reference;

	memset(&clean, 0, sizeof(clean)); /* hashed as bytes: no padding may differ */
	clean.object = key->object;
	clean.kind = key->kind;
	clean.selected = key->selected;
	clean.selector = key->selector;
	clean.detail = key->detail;

	pthread_mutex_lock(&nodes->lock);
	HASH_FIND(hh, nodes->hash, &clean, sizeof(clean), node);
	if (node && wants_fresh(node, tid)) {
		HASH_DEL(nodes->hash, node);
		node->current = false;
		node = NULL;
	}
	have_reference = node != NULL;
	if (!node)
		node = node_add(nodes, &clean);
	if (node) {
		node->lookups++;
		node->looker = tid;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (have_reference || !node)
		ipcfs_object_put(nodes->objects, key->object);
	return node;
}

/* Called with the lock held; the object's reference is the caller's to give back. */
static struct ipcfs_object *node_remove(struct ipcfs_nodes *nodes, struct ipcfs_node *node)
{
	struct ipcfs_object *object = node->key.object;

	if (node->current)
		HASH_DEL(nodes->hash, node);
	ipcfs_table_free(&nodes->table, node->index);
	return object;
}

void ipcfs_node_forget(struct ipcfs_nodes *nodes, uint64_t id, uint64_t count)
{
	struct ipcfs_node *node = ipcfs_node_at(nodes, id);
	struct ipcfs_object *object = NULL;

	if (!node || id <= nodes->fixed)
		return;
	pthread_mutex_lock(&nodes->lock);
	node->lookups -= count < node->lookups ? count : node->lookups;
	if (node->lookups == 0 && node->opens == 0)
		object = node_remove(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	ipcfs_object_put(nodes->objects, object);
}

void ipcfs_node_opened(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes)
{
	pthread_mutex_lock(&nodes->lock);
	node->opens++;
	node->readers += reads;
	node->writers += writes;
	pthread_mutex_unlock(&nodes->lock);
}

void ipcfs_node_closed(struct ipcfs_nodes *nodes, struct ipcfs_node *node, bool reads, bool writes)
{
	struct ipcfs_object *object = NULL;

	pthread_mutex_lock(&nodes->lock);
	node->opens--;
	node->readers -= reads;
	node->writers -= writes;
	if (node->lookups == 0 && node->opens == 0 && node->index > nodes->fixed)
		object = node_remove(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	ipcfs_object_put(nodes->objects, object);
}

bool ipcfs_node_is_open(struct ipcfs_nodes *nodes, struct ipcfs_node *node)
{
	bool open;

	pthread_mutex_lock(&nodes->lock);
	open = node->opens > 0;
	pthread_mutex_unlock(&nodes->lock);
	return open;
}
