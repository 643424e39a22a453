/* SPDX-License-Identifier: MIT */
#include "forget.h"

#include <stdio.h>
#include <string.h>

#include "shape.h"
#include "tree.h"

/* A node of a directory of an object, by where its path in there says it is. */
static void place_in_object(const struct ipcfs_node_key *key, struct ipcfs_node_key *directory,
			    char name[NAME_MAX + 1])
{
	char path[IPCFS_TREE_FILE_ROOM];
	const char *last;
	unsigned depth = 0;

	ipcfs_tree_file(key, path);
	last = path;
	for (const char *at = path; *at; at++) {
		if (*at == '/') {
			last = at + 1;
			depth++;
		}
	}
	snprintf(name, NAME_MAX + 1, "%s", last);
	directory->object = key->object;
	directory->kind = IPCFS_NODE_OBJECT;
	if (depth == 0)
		return;
	if (key->kind == IPCFS_NODE_PEEK) {
		directory->kind = IPCFS_NODE_PEEKS;
	} else if (!key->selected) {
		directory->kind = IPCFS_NODE_SEMAPHORE;
		directory->selector = key->selector;
	} else if (depth == 1) {
		directory->kind = IPCFS_NODE_SELECTORS;
	} else {
		directory->kind = IPCFS_NODE_SELECTED;
		directory->selected = true;
		directory->selector = key->selector;
	}
}

static void place_of_object(const struct ipcfs_node *node, struct ipcfs_node_key *directory,
			    char name[NAME_MAX + 1])
{
	const struct ipcfs_object *object = node->key.object;

	directory->class = object->class;
	directory->kind = IPCFS_NODE_CLASS;
	switch (node->key.kind) {
	case IPCFS_NODE_ID_LINK:
		directory->kind = IPCFS_NODE_IDS;
		snprintf(name, NAME_MAX + 1, "%d", (int)object->ref.serial);
		break;
	case IPCFS_NODE_ALIAS:
		snprintf(name, NAME_MAX + 1, "%s", node->name);
		break;
	default:
		snprintf(name, NAME_MAX + 1, "%s", object->ref.name);
	}
}

/* Of the fixed part: the directory in which the shape has it. */
static bool place_in_shape(const struct ipcfs_node_key *key, struct ipcfs_node_key *directory,
			   const struct ipcfs_node_key *above, char name[NAME_MAX + 1])
{
	struct ipcfs_node_key found;
	const char *at;

	for (size_t i = 0; ipcfs_shape_at(above, i, &at, &found); i++) {
		if (found.kind == key->kind && found.selector == key->selector &&
		    found.class == key->class) {
			*directory = *above;
			snprintf(name, NAME_MAX + 1, "%s", at);
			return true;
		}
		if (place_in_shape(key, directory, &found, name))
			return true;
	}
	return false;
}

bool ipcfs_forget_place(const struct ipcfs_node *node, struct ipcfs_node_key *directory,
			char name[NAME_MAX + 1])
{
	const struct ipcfs_node_key tree = { .view = node->key.view, .kind = IPCFS_NODE_TREE };

	*directory = (struct ipcfs_node_key){ .view = node->key.view };
	if (!node->key.object)
		return place_in_shape(&node->key, directory, &tree, name);
	switch (node->key.kind) {
	case IPCFS_NODE_OBJECT:
	case IPCFS_NODE_ID_LINK:
	case IPCFS_NODE_ALIAS:
		place_of_object(node, directory, name);
		break;
	default:
		place_in_object(&node->key, directory, name);
	}
	return true;
}

void ipcfs_forget_view(struct ipcfs_filesystem *fs, const struct ipcfs_view *view)
{
	struct ipcfs_text places = { 0 };
	const struct ipcfs_node_place *place;

	/* Without memory the next time will do. */
	(void)ipcfs_nodes_places(&fs->nodes, view, ipcfs_forget_place, &places);
	place = (const void *)places.data;
	for (size_t i = 0; i < places.size / sizeof(*place); i++)
		(void)fuse_lowlevel_notify_inval_entry(fs->session, place[i].directory,
						       place[i].name, strlen(place[i].name));
	ipcfs_text_free(&places);
}
