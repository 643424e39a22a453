/* SPDX-License-Identifier: MIT */
#include "fs/tree/invalidate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/attr.h"
#include "fs/tree/path.h"
#include "fs/tree/static_tree.h"
#include "fs/tree/tree.h"

/* Tells where a node stands that is below the directory of its object. */
static void locate_in_object(const struct ipcfs_class *class, const struct ipcfs_node *node,
			     struct ipcfs_node_key *directory, char name[NAME_MAX + 1])
{
	char canonical[IPCFS_TREE_NAME_SIZE];

	*directory = ipcfs_tree_directory(class, &node->key);
	ipcfs_tree_name(&node->key, canonical);
	snprintf(name, NAME_MAX + 1, "%s", node->name ? node->name : canonical);
}

/* Tells where the directory of an object stands, or by-id/CLASS/ID, a link to it. */
static void locate_object(const struct ipcfs_object *object, const struct ipcfs_node *node,
			  struct ipcfs_node_key *directory, char name[NAME_MAX + 1])
{
	bool by_id = node->key.kind == IPCFS_NODE_ID_LINK;

	directory->class = ipcfs_class_number(object->class);
	directory->kind = by_id ? IPCFS_NODE_IDS : IPCFS_NODE_CLASS;
	if (by_id)
		snprintf(name, NAME_MAX + 1, "%d", (int)object->ref.serial);
	else
		snprintf(name, NAME_MAX + 1, "%s", node->name ? node->name : object->ref.name);
}

/*
 * Tells where a node without an object stands: searches the directory `above` and all below
 * it. Returns false if the node is not there.
 */
static bool locate_in_static_tree(const struct ipcfs_node_key *key,
				  struct ipcfs_node_key *directory,
				  const struct ipcfs_node_key *above, char name[NAME_MAX + 1])
{
	struct ipcfs_node_key found;
	const char *at;

	for (size_t i = 0; ipcfs_static_tree_at(above, NULL, i, &at, &found); i++) {
		if (found.kind == key->kind && found.selector == key->selector &&
		    found.class == key->class) {
			*directory = *above;
			snprintf(name, NAME_MAX + 1, "%s", at);
			return true;
		}
		if (locate_in_static_tree(key, directory, &found, name))
			return true;
	}
	return false;
}

/* Tells where a node of a view stands. Returns false for the root of the view. */
static bool locate(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		   struct ipcfs_node_key *directory, char name[NAME_MAX + 1])
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	const struct ipcfs_node_key tree = { .view = node->key.view, .kind = IPCFS_NODE_TREE };

	*directory = (struct ipcfs_node_key){ .view = node->key.view };
	if (!object)
		return locate_in_static_tree(&node->key, directory, &tree, name);
	switch (node->key.kind) {
	case IPCFS_NODE_OBJECT:
	case IPCFS_NODE_ID_LINK:
		locate_object(object, node, directory, name);
		break;
	default:
		locate_in_object(object->class, node, directory, name);
	}
	return true;
}

/* The nodes whose names are to be dropped. */
struct choice {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_view *view; /* for choose_in_view */
	uid_t uid;		       /* for choose_of_uid */
};

/* Locates the nodes of a view. For ipcfs_nodes_locations. */
static bool choose_in_view(void *arg, const struct ipcfs_node *node,
			   struct ipcfs_node_key *directory, char name[NAME_MAX + 1])
{
	const struct choice *choice = arg;

	return node->key.view == choice->view->number && locate(choice->fs, node, directory, name);
}

/* Locates what users can make nodes of without end. For ipcfs_nodes_locations. */
static bool choose_of_uid(void *arg, const struct ipcfs_node *node,
			  struct ipcfs_node_key *directory, char name[NAME_MAX + 1])
{
	const struct choice *choice = arg;
	/* the kernel keeps the directory of an object for these names, whoever uses them */
	bool stays = ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_NAME_STAYS);

	if ((node->uid != choice->uid && !stays) || node->opens)
		return false;
	if (node->key.kind == IPCFS_NODE_PROCESS) {
		*directory = (struct ipcfs_node_key){ .kind = IPCFS_NODE_PROCESSES };
		snprintf(name, NAME_MAX + 1, "%" PRId64, node->key.detail);
		return true;
	}
	if (!node->key.object || (node->shared && !stays && S_ISDIR(ipcfs_attr_type(&node->key))))
		return false;
	return locate(choice->fs, node, directory, name);
}

/*
 * Tells the kernel to drop the names that `choose` locates among some hundred nodes from *from on.
 * Adds to *names how many there are. Returns whether there are more nodes.
 */
static bool invalidate(struct choice *choice, ipcfs_node_locate *choose, uint32_t *from,
		       size_t *names)
{
	struct ipcfs_filesystem *fs = choice->fs;
	struct ipcfs_text locations = { 0 };
	const struct ipcfs_node_location *location;
	/* -ENOMEM: the next call tells of the names that are missing here */
	int more = ipcfs_nodes_locations(&fs->nodes, from, choose, choice, &locations);

	location = (const void *)locations.data;
	*names += locations.size / sizeof(*location);
	for (size_t i = 0; i < locations.size / sizeof(*location); i++)
		(void)fuse_lowlevel_notify_inval_entry(fs->session, location[i].directory,
						       location[i].name, strlen(location[i].name));
	ipcfs_text_free(&locations);
	return more > 0;
}

void ipcfs_invalidate_view(struct ipcfs_filesystem *fs, const struct ipcfs_view *view)
{
	struct choice choice = { .fs = fs, .view = view };
	uint32_t from = IPCFS_NODE_ROOT_ID;
	size_t names = 0;

	while (invalidate(&choice, choose_in_view, &from, &names))
		;
}

bool ipcfs_invalidate_of(struct ipcfs_filesystem *fs, uid_t uid, uint32_t *from, size_t *names)
{
	struct choice choice = { .fs = fs, .uid = uid };

	return invalidate(&choice, choose_of_uid, from, names);
}

void ipcfs_invalidate_all(struct ipcfs_filesystem *fs)
{
	const struct ipcfs_node_key root = ipcfs_node_at(&fs->nodes, IPCFS_NODE_ROOT_ID)->key;
	struct ipcfs_node_key key;
	const char *name;

	for (size_t i = 0; ipcfs_static_tree_at(&root, NULL, i, &name, &key); i++)
		(void)fuse_lowlevel_notify_inval_entry(fs->session, IPCFS_NODE_ROOT_ID, name,
						       strlen(name)); /* -ENOENT: not known */
}
