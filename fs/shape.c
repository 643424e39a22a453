/* SPDX-License-Identifier: MIT */
#include "shape.h"

#include <errno.h>
#include <string.h>

/* What stands in directories of few names; of links to the caller's own namespace, which. */
static const struct place {
	const char *name;
	enum ipcfs_node_kind directory, kind;
} places[] = {
	{ "create", IPCFS_NODE_ROOT, IPCFS_NODE_INTO_SELF },
	{ "limits", IPCFS_NODE_ROOT, IPCFS_NODE_INTO_SELF },
	{ "ns", IPCFS_NODE_ROOT, IPCFS_NODE_NAMESPACES },
	{ "pid", IPCFS_NODE_ROOT, IPCFS_NODE_PROCESSES },
	{ "posix", IPCFS_NODE_ROOT, IPCFS_NODE_INTO_SELF },
	{ "self", IPCFS_NODE_ROOT, IPCFS_NODE_SELF },
	{ "sysv", IPCFS_NODE_ROOT, IPCFS_NODE_INTO_SELF },
	{ "create", IPCFS_NODE_TREE, IPCFS_NODE_CREATE },
	{ "limits", IPCFS_NODE_TREE, IPCFS_NODE_LIMITS },
	{ "posix", IPCFS_NODE_TREE, IPCFS_NODE_FAMILY },
	{ "sysv", IPCFS_NODE_TREE, IPCFS_NODE_FAMILY },
};
#define PLACES (sizeof(places) / sizeof(*places))

static const char *name_at(long index)
{
	return index >= 0 && (size_t)index < PLACES ? places[index].name : "";
}

/* Classes of a family; of by-id/, those whose objects have numbers. */
static bool class_at(const struct ipcfs_node_key *directory, size_t index, const char **name,
		     struct ipcfs_node_key *key)
{
	bool ids = directory->kind == IPCFS_NODE_BY_ID, any_id = false;

	for (size_t i = 0; ipcfs_backends[i]; i++) {
		const struct ipcfs_backend *class = ipcfs_backends[i];

		if (strcmp(class->family, name_at(directory->selector)) != 0 ||
		    (ids && !class->by_id))
			continue;
		any_id |= class->by_id;
		if (index-- > 0)
			continue;
		key->kind = ids ? IPCFS_NODE_IDS : IPCFS_NODE_CLASS;
		key->class = class;
		*name = class->class_name;
		return true;
	}
	if (ids || !any_id || index > 0)
		return false;
	key->kind = IPCFS_NODE_BY_ID;
	key->selector = directory->selector;
	*name = "by-id";
	return true;
}

static bool place_at(const struct ipcfs_node_key *directory, size_t index, const char **name,
		     struct ipcfs_node_key *key)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].directory != directory->kind || index-- > 0)
			continue;
		key->kind = places[i].kind;
		key->selector = (long)i;
		*name = places[i].name;
		return true;
	}
	return false;
}

bool ipcfs_shape_at(const struct ipcfs_node_key *directory, size_t index, const char **name,
		    struct ipcfs_node_key *key)
{
	*key = (struct ipcfs_node_key){ .view = directory->view };
	switch (directory->kind) {
	case IPCFS_NODE_LIMITS:
		key->kind = IPCFS_NODE_LIMIT;
		key->selector = (long)index;
		*name = ipcfs_limits[index].name; /* the end is a NULL */
		return *name != NULL;
	case IPCFS_NODE_FAMILY:
	case IPCFS_NODE_BY_ID:
		return class_at(directory, index, name, key);
	default:
		return place_at(directory, index, name, key);
	}
}

int ipcfs_shape_find(const struct ipcfs_node_key *directory, const char *name,
		     struct ipcfs_node_key *key)
{
	const char *found;

	for (size_t i = 0; ipcfs_shape_at(directory, i, &found, key); i++)
		if (strcmp(found, name) == 0)
			return 0;
	return -ENOENT;
}

const char *ipcfs_shape_name(const struct ipcfs_node_key *key)
{
	switch (key->kind) {
	case IPCFS_NODE_CREATE:
	case IPCFS_NODE_INTO_SELF:
	case IPCFS_NODE_FAMILY:
	case IPCFS_NODE_LIMITS:
		return name_at(key->selector);
	case IPCFS_NODE_LIMIT:
		return ipcfs_limits[key->selector].name;
	case IPCFS_NODE_CLASS:
	case IPCFS_NODE_IDS:
		return key->class->class_name;
	default:
		return "";
	}
}
