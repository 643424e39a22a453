/* SPDX-License-Identifier: MIT */
#include "fs/tree/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/number.h"
#include "fs/tree/static_tree.h"

/* Returns which directory a node stands in, or, below within/SECONDS/, that of within/. */
static enum ipcfs_node_kind place_of(const struct ipcfs_class *class,
				     const struct ipcfs_node_key *key)
{
	if (key->kind == IPCFS_NODE_WITHIN)
		return (enum ipcfs_node_kind)key->detail;
	if (key->selected)
		return IPCFS_NODE_SELECTED;
	if (ipcfs_file_kind_stands_in(key->kind, IPCFS_NODE_OBJECT, ipcfs_class_parts(class)))
		return IPCFS_NODE_OBJECT;
	return IPCFS_NODE_SEMAPHORE;
}

struct ipcfs_node_key ipcfs_tree_directory(const struct ipcfs_class *class,
					   const struct ipcfs_node_key *key)
{
	struct ipcfs_node_key above = { .view = key->view, .object = key->object };
	enum ipcfs_node_kind place;

	switch (key->kind) {
	case IPCFS_NODE_SEMAPHORE:
		above.kind = IPCFS_NODE_OBJECT;
		return above;
	case IPCFS_NODE_PEEK:
		above.kind = IPCFS_NODE_PEEKS;
		return above;
	case IPCFS_NODE_SELECTED:
		above.kind = class->queue->typed_receive ? IPCFS_NODE_TYPES : IPCFS_NODE_PRIORITIES;
		return above;
	case IPCFS_NODE_TIMED:
		above = *key;
		above.kind = IPCFS_NODE_WITHIN;
		above.within = 0;
		return above;
	default:
		place = place_of(class, key);
	}
	above.kind = place;
	if (place != IPCFS_NODE_OBJECT) {
		above.selected = key->selected;
		above.selector = key->selector;
	}
	if (key->within) {
		above.kind = IPCFS_NODE_TIMED;
		above.within = key->within;
		above.detail = place;
	}
	return above;
}

void ipcfs_tree_name(const struct ipcfs_node_key *key, char name[IPCFS_TREE_NAME_SIZE])
{
	_Static_assert(IPCFS_SECONDS_SIZE <= IPCFS_TREE_NAME_SIZE, "a time is a name");
	const size_t size = IPCFS_TREE_NAME_SIZE;

	switch (key->kind) {
	case IPCFS_NODE_PEEK:
		snprintf(name, size, "%" PRId64 ".%" PRId64, key->selector, key->detail);
		break;
	case IPCFS_NODE_SELECTED:
	case IPCFS_NODE_SEMAPHORE:
		snprintf(name, size, "%" PRId64, key->selector);
		break;
	case IPCFS_NODE_TIMED:
		ipcfs_seconds_text(key->within - 1, name);
		break;
	default:
		snprintf(name, size, "%s", ipcfs_static_tree_name(key));
	}
}

void ipcfs_tree_path(const struct ipcfs_class *class, const struct ipcfs_node_key *key,
		     char path[IPCFS_TREE_PATH_SIZE])
{
	char name[IPCFS_TREE_NAME_SIZE];
	struct ipcfs_node_key above;
	size_t size;

	*path = '\0';
	if (key->kind == IPCFS_NODE_OBJECT || key->kind == IPCFS_NODE_ID_LINK)
		return;
	above = ipcfs_tree_directory(class, key);
	ipcfs_tree_path(class, &above, path);
	ipcfs_tree_name(key, name);
	size = strlen(path);
	snprintf(path + size, IPCFS_TREE_PATH_SIZE - size, "%s%s", size ? "/" : "", name);
}
