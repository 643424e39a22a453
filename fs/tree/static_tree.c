/* SPDX-License-Identifier: MIT */
#include "fs/tree/static_tree.h"

#include <errno.h>
#include <string.h>

#include "backends/contract/limits.h"

static bool has_family(const char *family)
{
	for (size_t i = 0; ipcfs_classes[i]; i++)
		if (strcmp(ipcfs_classes[i]->family, family) == 0)
			return true;
	return false;
}

/*
 * Returns whether files of this kind stand in the directory. within/SECONDS/ has those of the
 * directory that within/ stands in that may wait.
 */
static bool stands_in(enum ipcfs_node_kind kind, const struct ipcfs_node_key *directory,
		      unsigned parts)
{
	bool timed = directory->kind == IPCFS_NODE_TIMED;

	if (timed && !ipcfs_file_kind_has(kind, IPCFS_FILE_TIMED))
		return false;
	if (kind == IPCFS_NODE_AMQP && !has_family(ipcfs_file_kinds[kind].name))
		return false;
	return ipcfs_file_kind_stands_in(
		kind, timed ? (enum ipcfs_node_kind)directory->detail : directory->kind, parts);
}

/*
 * Returns the kind of file at *index in this directory. If there are fewer, returns
 * IPCFS_NODE_NONE and takes their number off *index.
 */
static enum ipcfs_node_kind kind_at(const struct ipcfs_node_key *directory, unsigned parts,
				    size_t *index)
{
	for (enum ipcfs_node_kind kind = IPCFS_NODE_NONE + 1; kind < IPCFS_NODE_KINDS; kind++)
		if (stands_in(kind, directory, parts) && (*index)-- == 0)
			return kind;
	return IPCFS_NODE_NONE;
}

/*
 * Returns the class at *index in posix/, sysv/ or by-id/. If there are fewer, returns NULL and
 * takes their number off *index.
 */
static const struct ipcfs_class *class_in(enum ipcfs_node_kind directory, size_t *index)
{
	bool ids = directory == IPCFS_NODE_BY_ID;
	const char *family = ipcfs_file_kinds[ids ? IPCFS_NODE_SYSV : directory].name;

	if (!family)
		return NULL;
	for (size_t i = 0; ipcfs_classes[i]; i++) {
		const struct ipcfs_class *class = ipcfs_classes[i];

		if (strcmp(class->family, family) != 0 || (ids && !class->by_id))
			continue;
		if ((*index)-- == 0)
			return class;
	}
	return NULL;
}

bool ipcfs_static_tree_at(const struct ipcfs_node_key *directory, const struct ipcfs_class *class,
			  size_t index, const char **name, struct ipcfs_node_key *key)
{
	const struct ipcfs_node_key tree = { .kind = IPCFS_NODE_TREE };
	const struct ipcfs_class *below;

	*key = (struct ipcfs_node_key){
		.view = directory->view,
		.object = directory->object,
		.selected = directory->selected,
		.selector = directory->object ? directory->selector : 0,
		.within = directory->within,
	};
	if (directory->kind == IPCFS_NODE_LIMITS) {
		key->kind = IPCFS_NODE_LIMIT;
		key->selector = (int64_t)index;
		*name = ipcfs_limits[index].name; /* NULL: the end of the array */
		return *name != NULL;
	}
	below = class_in(directory->kind, &index);
	if (below) {
		bool ids = directory->kind == IPCFS_NODE_BY_ID;

		key->kind = ids ? IPCFS_NODE_IDS : IPCFS_NODE_CLASS;
		key->class = ipcfs_class_number(below);
		*name = below->name;
		return true;
	}
	key->kind = kind_at(directory, ipcfs_class_parts(class), &index);
	if (key->kind == IPCFS_NODE_WITHIN)
		key->detail = directory->kind;
	if (key->kind == IPCFS_NODE_NONE && directory->kind == IPCFS_NODE_ROOT) {
		key->selector = kind_at(&tree, 0, &index);
		key->kind = key->selector ? IPCFS_NODE_INTO_SELF : IPCFS_NODE_NONE;
	}
	*name = ipcfs_static_tree_name(key);
	return key->kind != IPCFS_NODE_NONE;
}

int ipcfs_static_tree_find(const struct ipcfs_node_key *directory, const struct ipcfs_class *class,
			   const char *name, struct ipcfs_node_key *key)
{
	const char *found;

	for (size_t i = 0; ipcfs_static_tree_at(directory, class, i, &found, key); i++)
		if (strcmp(found, name) == 0)
			return 0;
	return -ENOENT;
}

const char *ipcfs_static_tree_name(const struct ipcfs_node_key *key)
{
	const char *name;

	switch (key->kind) {
	case IPCFS_NODE_LIMIT:
		return ipcfs_limits[key->selector].name;
	case IPCFS_NODE_CLASS:
	case IPCFS_NODE_IDS:
		return ipcfs_class_at(key->class)->name;
	case IPCFS_NODE_INTO_SELF:
		return ipcfs_file_kinds[key->selector].name;
	default:
		name = ipcfs_file_kinds[key->kind].name;
		return name ? name : "";
	}
}
