/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No padding may differ: it is hashed as bytes. */
static void copy_key(struct ipcfs_node_key *to, const struct ipcfs_node_key *from)
{
	memset(to, 0, sizeof(*to));
	to->view = from->view;
	to->object = from->object;
	to->class = from->class;
	to->kind = from->kind;
	to->selected = from->selected;
	to->selector = from->selector;
	to->detail = from->detail;
}

static void put_key(const struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	ipcfs_object_put(nodes->objects, key->object);
	ipcfs_view_put(key->view);
}

/* Called with the lock held, or before there is anybody else. */
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
		memset(&node->key, 0, sizeof(node->key));
		ipcfs_table_free(&nodes->table, index);
		return NULL;
	}
	node->current = true;
	return node;
}

int ipcfs_nodes_init(struct ipcfs_nodes *nodes, struct ipcfs_objects *objects,
		     struct ipcfs_view *view)
{
	const struct ipcfs_node_key root = {
		.view = view,
		.kind = view ? IPCFS_NODE_TREE : IPCFS_NODE_ROOT,
	};
	struct ipcfs_node_key key;
	int err;

	*nodes = (struct ipcfs_nodes){ .objects = objects };
	err = ipcfs_table_init(&nodes->table, sizeof(struct ipcfs_node));
	if (err)
		return err;
	pthread_mutex_init(&nodes->lock, NULL);
	copy_key(&key, &root);
	if (node_add(nodes, &key)) {
		ipcfs_view_hold(view);
		return 0;
	}
	ipcfs_nodes_destroy(nodes);
	return -ENOMEM;
}

void ipcfs_nodes_destroy(struct ipcfs_nodes *nodes)
{
	if (!nodes->table.chunks)
		return;
	HASH_CLEAR(hh, nodes->hash);
	for (uint32_t i = IPCFS_NODE_ROOT_ID; i < nodes->table.used; i++) {
		const struct ipcfs_node *node = ipcfs_table_at(&nodes->table, i);

		free(node->name);
		put_key(nodes, &node->key);
	}
	ipcfs_table_destroy(&nodes->table);
	pthread_mutex_destroy(&nodes->lock);
}

struct ipcfs_node *ipcfs_node_at(struct ipcfs_nodes *nodes, uint64_t id)
{
	struct ipcfs_node *node = ipcfs_table_at(&nodes->table, id);

	return node && node->key.kind != IPCFS_NODE_NONE ? node : NULL;
}

uint64_t ipcfs_node_known(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	struct ipcfs_node_key clean;
	struct ipcfs_node *node;
	uint64_t id;

	copy_key(&clean, key);
	pthread_mutex_lock(&nodes->lock);
	HASH_FIND(hh, nodes->hash, &clean, sizeof(clean), node);
	id = node ? node->index : 0;
	pthread_mutex_unlock(&nodes->lock);
	return id;
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
	if (!node->key.object || !ipcfs_node_is_sizeless(node))
		return false;
	return node->readers || node->looker != tid || (node->writers && write_may_wait(node));
}

static struct ipcfs_node *get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
			      pid_t tid, char **name)
{
	struct ipcfs_node_key clean;
	struct ipcfs_node *node;
	bool have_references;

	copy_key(&clean, key);
	pthread_mutex_lock(&nodes->lock);
	HASH_FIND(hh, nodes->hash, &clean, sizeof(clean), node);
	if (node && wants_fresh(node, tid)) {
		HASH_DEL(nodes->hash, node);
		node->current = false;
		node = NULL;
	}
	have_references = node != NULL;
	if (!node) {
		node = node_add(nodes, &clean);
		if (node && name) {
			node->name = *name;
			*name = NULL;
		}
	}
	if (node) {
		node->lookups++;
		node->looker = tid;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (have_references || !node)
		put_key(nodes, key);
	return node;
}

struct ipcfs_node *ipcfs_node_get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				  pid_t tid)
{
	return get(nodes, key, tid, NULL);
}

struct ipcfs_node *ipcfs_node_get_alias(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
					const char *name)
{
	struct ipcfs_node_key spelled = *key;
	char *copy = strdup(name);
	struct ipcfs_node *node;

	if (!copy) {
		put_key(nodes, key);
		return NULL;
	}
	for (const char *at = name; *at; at++)
		spelled.detail = (long)(((unsigned long)spelled.detail ^ (unsigned char)*at) *
					0x9e3779b97f4a7c15);
	node = get(nodes, &spelled, 0, &copy);
	free(copy);
	return node;
}

int ipcfs_nodes_places(struct ipcfs_nodes *nodes, const struct ipcfs_view *view,
		       bool (*place)(const struct ipcfs_node *node,
				     struct ipcfs_node_key *directory, char name[NAME_MAX + 1]),
		       struct ipcfs_text *places)
{
	int err = 0;

	pthread_mutex_lock(&nodes->lock);
	for (uint32_t i = IPCFS_NODE_ROOT_ID; !err && i < nodes->table.used; i++) {
		const struct ipcfs_node *node = ipcfs_table_at(&nodes->table, i);
		struct ipcfs_node_key directory, clean;
		struct ipcfs_node_place found;
		const struct ipcfs_node *above;

		if (!node || node->key.view != view || !place(node, &directory, found.name))
			continue;
		copy_key(&clean, &directory);
		HASH_FIND(hh, nodes->hash, &clean, sizeof(clean), above);
		if (!above)
			continue;
		found.directory = above->index;
		err = ipcfs_text_add(places, &found, sizeof(found));
	}
	pthread_mutex_unlock(&nodes->lock);
	return err;
}

/* Called with the lock held: what the key refers to is the caller's to give back. */
static struct ipcfs_node_key node_remove(struct ipcfs_nodes *nodes, struct ipcfs_node *node)
{
	struct ipcfs_node_key key = node->key;

	if (node->current)
		HASH_DEL(nodes->hash, node);
	free(node->name);
	ipcfs_table_free(&nodes->table, node->index);
	return key;
}

void ipcfs_node_forget(struct ipcfs_nodes *nodes, uint64_t id, uint64_t count)
{
	struct ipcfs_node *node = ipcfs_node_at(nodes, id);
	struct ipcfs_node_key key = { 0 };

	if (!node || id == IPCFS_NODE_ROOT_ID)
		return;
	pthread_mutex_lock(&nodes->lock);
	node->lookups -= count < node->lookups ? count : node->lookups;
	if (node->lookups == 0 && node->opens == 0)
		key = node_remove(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	put_key(nodes, &key);
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
	struct ipcfs_node_key key = { 0 };

	pthread_mutex_lock(&nodes->lock);
	node->opens--;
	node->readers -= reads;
	node->writers -= writes;
	if (node->lookups == 0 && node->opens == 0 && node->index != IPCFS_NODE_ROOT_ID)
		key = node_remove(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	put_key(nodes, &key);
}

bool ipcfs_node_is_open(struct ipcfs_nodes *nodes, struct ipcfs_node *node)
{
	bool open;

	pthread_mutex_lock(&nodes->lock);
	open = node->opens > 0;
	pthread_mutex_unlock(&nodes->lock);
	return open;
}
