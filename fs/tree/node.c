/* SPDX-License-Identifier: MIT */
#include "fs/tree/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/contract/layout.h"
#include "fs/access/quota.h"
#include "fs/base/clock.h"

#define SLICE 512	 /* nodes that are looked at with the lock held once */
#define SHRUNK_MIN 2048	 /* nodes that have to be gone before memory is given back */
#define NODE_BYTES 256	 /* of a node, in its tables */
#define OBJECT_BYTES 768 /* of an object, in its tables, and another spelling of its name */

/* The entry of a node in the ledger: this, and its name. */
struct node_entry {
	struct ipcfs_node_key key;
	uint64_t id;
	_Atomic uint64_t lookups;
	uint32_t generation;
	uid_t uid;
	atomic_bool shared, current;
};

uint64_t ipcfs_node_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct node_entry),
		offsetof(struct node_entry, key),
		offsetof(struct node_entry, id),
		offsetof(struct node_entry, lookups),
		offsetof(struct node_entry, generation),
		offsetof(struct node_entry, uid),
		offsetof(struct node_entry, shared),
		offsetof(struct node_entry, current),
		offsetof(struct ipcfs_node_key, view),
		offsetof(struct ipcfs_node_key, object),
		offsetof(struct ipcfs_node_key, class),
		offsetof(struct ipcfs_node_key, selected),
		offsetof(struct ipcfs_node_key, selector),
		offsetof(struct ipcfs_node_key, detail),
		offsetof(struct ipcfs_node_key, within),
		IPCFS_NODE_KINDS,
	};

	hash = ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
	for (size_t i = 0; i < IPCFS_NODE_KINDS; i++)
		hash = ipcfs_layout_name(hash,
					 ipcfs_file_kinds[i].name ? ipcfs_file_kinds[i].name : "");
	return hash;
}

/* Drops the references of a key. */
static void put_key(const struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	ipcfs_object_unref(nodes->objects, ipcfs_object_at(nodes->objects, key->object));
	ipcfs_view_unref(ipcfs_view_at(nodes->registry, key->view));
}

/* Returns what a node is charged with. A name of an object pays for the object too. */
static size_t bytes_of(const struct ipcfs_node_key *key)
{
	bool names = key->kind == IPCFS_NODE_OBJECT || key->kind == IPCFS_NODE_ID_LINK;

	return NODE_BYTES + (names ? OBJECT_BYTES : 0);
}

/* Wakes the trimmer for this uid. Call with the lock held. */
static void note_pressure(struct ipcfs_nodes *nodes, uid_t uid)
{
	nodes->pressed = true;
	nodes->presser = uid;
	pthread_cond_signal(&nodes->wake);
}

/* Wakes the trimmer if many nodes are gone. Call with the lock held. */
static void note_shrinking(struct ipcfs_nodes *nodes)
{
	if (nodes->most - nodes->count < SHRUNK_MIN || nodes->count > nodes->most / 2)
		return;
	nodes->most = nodes->count;
	nodes->shrunk = true;
	pthread_cond_signal(&nodes->wake);
}

/* Writes a node to the ledger, as it is now. Call with the lock held. */
static void save(const struct ipcfs_nodes *nodes, const struct ipcfs_node *node)
{
	uint32_t index = ipcfs_table_index(node->id);
	struct node_entry entry = { .key = node->key, .id = node->id, .uid = node->uid };
	const struct iovec parts[] = { { &entry, sizeof(entry) },
				       { node->name, node->name ? strlen(node->name) : 0 } };

	if (!nodes->ledger || node->id == IPCFS_NODE_ROOT_ID)
		return;
	entry.lookups = node->lookups;
	entry.generation = ipcfs_table_generation(&nodes->table, index);
	entry.shared = node->shared;
	entry.current = node->current;
	/* without memory the successor does not know the node: it is stale then */
	(void)ipcfs_ledger_put(nodes->ledger, IPCFS_LEDGER_NODES, index, parts, 2);
}

/* The same, when nothing but words has changed. Call with the lock held. */
static void save_words(const struct ipcfs_nodes *nodes, const struct ipcfs_node *node)
{
	struct node_entry *entry = NULL;
	size_t size;

	if (nodes->ledger)
		entry = ipcfs_ledger_at(nodes->ledger, IPCFS_LEDGER_NODES,
					ipcfs_table_index(node->id), &size);
	if (!entry)
		return;
	atomic_store(&entry->lookups, node->lookups);
	atomic_store(&entry->shared, node->shared);
	atomic_store(&entry->current, node->current);
}

/*
 * Adds a node: the current one of its key. NULL: no memory, or the uid has reached max_bytes. Call
 * with the lock held.
 */
static struct ipcfs_node *node_add(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				   uid_t uid)
{
	int tight = ipcfs_quota_charge_cached(nodes->quota, uid, bytes_of(key));
	struct ipcfs_node *node;
	uint32_t index;

	if (tight)
		note_pressure(nodes, uid);
	if (tight < 0)
		return NULL;
	node = ipcfs_table_new(&nodes->table, &index);
	if (node) {
		node->id = ipcfs_table_number(&nodes->table, index);
		node->key = *key;
		node->uid = uid;
		HASH_ADD(hh, nodes->hash, key, sizeof(node->key), node);
		if (node->hh.tbl) {
			node->current = true;
			if (++nodes->count > nodes->most)
				nodes->most = nodes->count;
			return node;
		}
		memset(&node->key, 0, sizeof(node->key));
		ipcfs_table_free(&nodes->table, index);
	}
	ipcfs_quota_release(nodes->quota, uid, bytes_of(key));
	return NULL;
}

int ipcfs_nodes_init(struct ipcfs_nodes *nodes, struct ipcfs_objects *objects,
		     struct ipcfs_registry *registry, struct ipcfs_quota *quota)
{
	struct ipcfs_view *home = ipcfs_registry_home(registry);
	struct ipcfs_node_key key = { .kind = IPCFS_NODE_ROOT };
	int err;

	*nodes = (struct ipcfs_nodes){
		.objects = objects,
		.registry = registry,
		.quota = quota,
	};
	err = ipcfs_table_init(&nodes->table, sizeof(struct ipcfs_node));
	if (err)
		return err;
	pthread_mutex_init(&nodes->lock, NULL);
	ipcfs_clock_cond_init(&nodes->wake);
	if (!ipcfs_registry_is_all(registry))
		key = (struct ipcfs_node_key){ .kind = IPCFS_NODE_TREE, .view = home->number };
	if (node_add(nodes, &key, geteuid())) {
		if (key.view)
			ipcfs_view_ref(home);
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

		if (!node)
			continue;
		free(node->name);
		put_key(nodes, &node->key);
	}
	ipcfs_table_destroy(&nodes->table);
	pthread_cond_destroy(&nodes->wake);
	pthread_mutex_destroy(&nodes->lock);
}

/* Returns whether there can be a node of this key. */
static bool is_possible(const struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	if (key->kind == IPCFS_NODE_NONE || key->kind >= IPCFS_NODE_KINDS ||
	    key->class > IPCFS_CLASSES_MAX)
		return false;
	return key->view == ipcfs_registry_home(nodes->registry)->number &&
	       (!key->object || ipcfs_object_at(nodes->objects, key->object));
}

/* Makes a node anew. False: the entry makes no sense, or there is no memory. */
static bool restore(struct ipcfs_nodes *nodes, uint32_t index, const struct node_entry *entry,
		    size_t size)
{
	struct ipcfs_node *node = NULL;
	char *name = NULL;

	if (size < sizeof(*entry) || !is_possible(nodes, &entry->key))
		return false;
	if (size > sizeof(*entry))
		name = strndup((const char *)(entry + 1), size - sizeof(*entry));
	if (!ipcfs_quota_charge_kept(nodes->quota, entry->uid, bytes_of(&entry->key)))
		return false;
	node = ipcfs_table_restore(&nodes->table, index, entry->id, entry->generation);
	if (!node) {
		ipcfs_quota_release(nodes->quota, entry->uid, bytes_of(&entry->key));
		free(name);
		return false;
	}
	node->key = entry->key;
	node->id = entry->id;
	node->name = name;
	node->lookups = entry->lookups;
	node->uid = entry->uid;
	node->shared = entry->shared;
	if (entry->current)
		HASH_ADD(hh, nodes->hash, key, sizeof(node->key), node);
	node->current = entry->current && node->hh.tbl;
	if (++nodes->count > nodes->most)
		nodes->most = nodes->count;
	if (node->key.object)
		ipcfs_object_ref(nodes->objects, ipcfs_object_at(nodes->objects, node->key.object));
	ipcfs_view_ref(ipcfs_view_at(nodes->registry, node->key.view));
	return true;
}

void ipcfs_nodes_restore(struct ipcfs_nodes *nodes)
{
	pthread_mutex_lock(&nodes->lock);
	for (uint32_t i = IPCFS_NODE_ROOT_ID;
	     (i = ipcfs_ledger_next(nodes->ledger, IPCFS_LEDGER_NODES, i)) != 0;) {
		size_t size;
		const struct node_entry *entry = ipcfs_ledger_at(nodes->ledger, IPCFS_LEDGER_NODES,
								 i, &size);

		if (!restore(nodes, i, entry, size))
			ipcfs_ledger_drop(nodes->ledger, IPCFS_LEDGER_NODES, i);
	}
	pthread_mutex_unlock(&nodes->lock);
}

struct ipcfs_node *ipcfs_node_at(struct ipcfs_nodes *nodes, uint64_t id)
{
	return ipcfs_table_find(&nodes->table, id);
}

/* Returns the node of this index, or NULL. Call with the lock held. */
static const struct ipcfs_node *node_of_index(const struct ipcfs_nodes *nodes, uint32_t index)
{
	const struct ipcfs_node *node = ipcfs_table_at(&nodes->table, index);

	return node && node->key.kind != IPCFS_NODE_NONE ? node : NULL;
}

/* Returns the current node of this key, or NULL. Call with the lock held. */
static struct ipcfs_node *find(const struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	struct ipcfs_node *node;

	HASH_FIND(hh, nodes->hash, key, sizeof(*key), node);
	return node;
}

uint64_t ipcfs_node_find_id(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key)
{
	const struct ipcfs_node *node;
	uint64_t id;

	pthread_mutex_lock(&nodes->lock);
	node = find(nodes, key);
	id = node ? node->id : 0;
	pthread_mutex_unlock(&nodes->lock);
	return id;
}

/* Returns whether this lookup needs a new node: see ipcfs_node_get. Call with the lock held. */
static bool must_not_share(const struct ipcfs_node *node, pid_t tid, uid_t uid)
{
	enum ipcfs_node_kind kind = node->key.kind;
	bool another_opens = node->looked_up_by != tid;

	bool completes = ipcfs_file_kind_has(kind, IPCFS_FILE_CLOSE_COMPLETES);
	bool waits = ipcfs_file_kind_has(kind, IPCFS_FILE_WRITE_WAITS) ||
		     (completes && node->key.within); /* msg waits there in write, not in close */

	if (waits && (node->writers || another_opens))
		return true;
	if (completes && node->uid != uid)
		return true;
	if (!node->key.object || !ipcfs_file_kind_has(kind, IPCFS_FILE_SIZELESS))
		return false;
	return !ipcfs_file_kind_has(kind, IPCFS_FILE_STREAM) && (node->readers || another_opens);
}

/* Does the work of ipcfs_node_get. If `name` is not NULL, the node's name is exchanged for it. */
static struct ipcfs_node *get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
			      pid_t tid, uid_t uid, char **name)
{
	struct ipcfs_node *node;
	bool have_references;

	pthread_mutex_lock(&nodes->lock);
	node = find(nodes, key);
	if (node && must_not_share(node, tid, uid)) {
		HASH_DEL(nodes->hash, node);
		node->current = false;
		save_words(nodes, node);
		node = NULL;
	}
	have_references = node != NULL;
	if (!node)
		node = node_add(nodes, key, uid);
	if (node) {
		node->lookups++;
		node->looked_up_by = tid;
		node->shared |= node->uid != uid;
	}
	if (node && name) {
		char *before = node->name;

		node->name = *name;
		*name = before;
	}
	if (node && have_references && !name)
		save_words(nodes, node);
	else if (node)
		save(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
	if (have_references || !node)
		put_key(nodes, key);
	return node;
}

struct ipcfs_node *ipcfs_node_get(struct ipcfs_nodes *nodes, const struct ipcfs_node_key *key,
				  pid_t tid, uid_t uid)
{
	return get(nodes, key, tid, uid, NULL);
}

struct ipcfs_node *ipcfs_node_get_spelled(struct ipcfs_nodes *nodes,
					  const struct ipcfs_node_key *key, const char *spelling,
					  uid_t uid)
{
	char *copy = spelling ? strdup(spelling) : NULL;
	struct ipcfs_node *node;

	if (spelling && !copy) {
		put_key(nodes, key);
		return NULL;
	}
	node = get(nodes, key, 0, uid, &copy);
	free(copy);
	return node;
}

int ipcfs_nodes_locations(struct ipcfs_nodes *nodes, uint32_t *from, ipcfs_node_locate *locate,
			  void *arg, struct ipcfs_text *locations)
{
	uint32_t end = *from + SLICE;
	int err = 0, result;

	pthread_mutex_lock(&nodes->lock);
	for (; !err && *from < end && *from < nodes->table.used; ++*from) {
		const struct ipcfs_node *node = node_of_index(nodes, *from), *above;
		struct ipcfs_node_key directory;
		struct ipcfs_node_location found;

		if (!node || !locate(arg, node, &directory, found.name))
			continue;
		above = find(nodes, &directory);
		if (!above)
			continue;
		found.directory = above->id;
		err = ipcfs_text_add(locations, &found, sizeof(found));
	}
	result = err ? err : *from < nodes->table.used;
	pthread_mutex_unlock(&nodes->lock);
	return result;
}

int ipcfs_nodes_each_open(struct ipcfs_nodes *nodes, uint32_t object, uint32_t *from,
			  int (*each)(void *arg, const struct ipcfs_node *node), void *arg)
{
	uint32_t end = *from + SLICE;
	int err = 0, result;

	pthread_mutex_lock(&nodes->lock);
	for (; !err && *from < end && *from < nodes->table.used; ++*from) {
		const struct ipcfs_node *node = node_of_index(nodes, *from);

		if (node && node->key.object == object && node->opens)
			err = each(arg, node);
	}
	result = err ? err : *from < nodes->table.used;
	pthread_mutex_unlock(&nodes->lock);
	return result;
}

/*
 * Removes a node and returns its key. The caller drops the references of the key, without the
 * lock. Call with the lock held.
 */
static struct ipcfs_node_key node_remove(struct ipcfs_nodes *nodes, struct ipcfs_node *node)
{
	struct ipcfs_node_key key = node->key;

	if (node->current)
		HASH_DEL(nodes->hash, node);
	free(node->name);
	ipcfs_quota_release(nodes->quota, node->uid, bytes_of(&key));
	if (nodes->ledger)
		ipcfs_ledger_drop(nodes->ledger, IPCFS_LEDGER_NODES, ipcfs_table_index(node->id));
	ipcfs_table_free(&nodes->table, ipcfs_table_index(node->id));
	nodes->count--;
	nodes->gone++;
	note_shrinking(nodes);
	return key;
}

bool ipcfs_node_hold(struct ipcfs_nodes *nodes, uint64_t id)
{
	struct ipcfs_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = ipcfs_node_at(nodes, id);
	if (node)
		node->lookups++;
	pthread_mutex_unlock(&nodes->lock);
	return node != NULL;
}

void ipcfs_node_forget(struct ipcfs_nodes *nodes, uint64_t id, uint64_t count)
{
	struct ipcfs_node_key key = { 0 };
	struct ipcfs_node *node;

	if (id == IPCFS_NODE_ROOT_ID)
		return;
	pthread_mutex_lock(&nodes->lock);
	node = ipcfs_node_at(nodes, id);
	if (node)
		node->lookups -= count < node->lookups ? count : node->lookups;
	if (node && node->lookups == 0 && node->opens == 0)
		key = node_remove(nodes, node);
	else if (node)
		save_words(nodes, node);
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
	if (node->lookups == 0 && node->opens == 0 && node->id != IPCFS_NODE_ROOT_ID)
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

void ipcfs_nodes_restored(struct ipcfs_nodes *nodes)
{
	for (uint32_t i = IPCFS_NODE_ROOT_ID + 1; i < nodes->table.used; i++) {
		const struct ipcfs_node *node = ipcfs_table_at(&nodes->table, i);

		if (node && node->id)
			ipcfs_node_forget(nodes, node->id, 0);
	}
}
