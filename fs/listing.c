/* SPDX-License-Identifier: MIT */
/* What directories list: the other half of tree.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "attr.h"
#include "hide.h"
#include "peek.h"
#include "shape.h"
#include "tree.h"

static int add_entry(struct ipcfs_listing *listing, const char *name, mode_t type, uint64_t ino)
{
	struct ipcfs_listing_entry entry = {
		.name = listing->names.size,
		.type = type,
		.ino = ino,
	};
	int err = ipcfs_text_add(&listing->names, name, strlen(name) + 1);

	return err ? err : ipcfs_text_add(&listing->entries, &entry, sizeof(entry));
}

struct class_lister {
	const struct ipcfs_filesystem *fs;
	struct ipcfs_listing *listing;
	const struct ipcfs_node *directory;
	struct ipcfs_caller *caller;
};

static int add_object(void *arg, const struct ipcfs_info *info)
{
	struct class_lister *lister = arg;
	struct ipcfs_listing *listing = lister->listing;
	struct ipcfs_listing_entry entry = { .name = listing->names.size };
	const struct ipcfs_node_key *directory = &lister->directory->key;
	struct ipcfs_node_key key = { .view = directory->view, .kind = IPCFS_NODE_OBJECT };
	int err = ipcfs_hide_check(lister->fs, ipcfs_node_space(lister->directory),
				   directory->class, info, lister->caller);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (directory->kind == IPCFS_NODE_IDS) {
		key.kind = IPCFS_NODE_ID_LINK;
		err = ipcfs_text_printf(&listing->names, "%d%c", (int)info->ref.serial, 0);
		entry.type = S_IFLNK;
	} else {
		err = ipcfs_text_add(&listing->names, info->ref.name, strlen(info->ref.name) + 1);
		entry.type = S_IFDIR;
	}
	entry.ino = ipcfs_attr_ino_of(directory->class, &info->ref, &key);
	entry.has_info = true;
	entry.info = listing->infos.size / sizeof(*info);
	if (!err)
		err = ipcfs_text_add(&listing->infos, info, sizeof(*info));
	return err ? err : ipcfs_text_add(&listing->entries, &entry, sizeof(entry));
}

static int list_class(struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct ipcfs_caller *caller, struct ipcfs_listing *listing)
{
	struct class_lister lister = { fs, listing, node, caller };

	return node->key.class->list(ipcfs_node_space(node), add_object, &lister);
}

static int list_fixed(const struct ipcfs_node *directory, struct ipcfs_listing *listing)
{
	struct ipcfs_node_key key;
	const char *name;
	int err = 0;

	for (size_t i = 0; !err && ipcfs_shape_at(&directory->key, i, &name, &key); i++)
		err = add_entry(listing, name, ipcfs_attr_type(&key), ipcfs_attr_ino(&key));
	return err;
}

static int add_namespace(void *arg, uint64_t inode)
{
	struct ipcfs_view view = { .inode = inode };
	const struct ipcfs_node_key key = { .view = &view, .kind = IPCFS_NODE_TREE };
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)inode);
	return add_entry(arg, name, S_IFDIR, ipcfs_attr_ino(&key));
}

static int list_peeks(struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct ipcfs_listing *listing)
{
	struct ipcfs_node_key key = node->key;
	int err = 0;

	key.kind = IPCFS_NODE_PEEK;
	for (size_t i = 0; !err; i++) {
		struct ipcfs_text message = { 0 };
		char name[64];

		err = ipcfs_peek_copy(fs, node->key.object, i, &message, &key.detail);
		ipcfs_text_free(&message);
		key.selector = (long)i;
		snprintf(name, sizeof(name), "%zu.%ld", i, key.detail);
		if (!err)
			err = add_entry(listing, name, S_IFREG, ipcfs_attr_ino(&key));
	}
	return err == -ENOENT ? 0 : err;
}

/* Every name that lookup knows in a directory of an object. */
static int list_object(const struct ipcfs_node *node, struct ipcfs_listing *listing)
{
	static const struct {
		const char *name;
		mode_t type;
	} names[] = {
		{ "msg", S_IFREG },	{ "lines", S_IFREG },	{ "tagged", S_IFREG },
		{ "packets", S_IFREG }, { "drain", S_IFREG },	{ "status", S_IFREG },
		{ "qbytes", S_IFREG },	{ "peek", S_IFDIR },	{ "prio", S_IFDIR },
		{ "type", S_IFDIR },	{ "data", S_IFREG },	{ "value", S_IFREG },
		{ "wait", S_IFREG },	{ "trywait", S_IFREG }, { "post", S_IFREG },
		{ "zero", S_IFREG },	{ "hold", S_IFREG },	{ "tryhold", S_IFREG },
		{ "values", S_IFREG },	{ "op", S_IFREG },
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(names) / sizeof(*names); i++) {
		struct ipcfs_node_key key;

		if (ipcfs_tree_key(node, names[i].name, &key) == 0)
			err = add_entry(listing, names[i].name, names[i].type,
					ipcfs_attr_ino(&key));
	}
	return err;
}

/* N/ of each semaphore of a set. */
static int list_semaphores(const struct ipcfs_node *node, struct ipcfs_listing *listing)
{
	const struct ipcfs_object *object = node->key.object;
	struct ipcfs_node_key key = node->key;
	struct ipcfs_info info;
	int err = object->class->stat(object->space, &object->ref, &info);

	key.kind = IPCFS_NODE_SEMAPHORE;
	for (uint64_t i = 0; !err && i < info.size; i++) {
		char name[24];

		key.selector = (long)i;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
		err = add_entry(listing, name, S_IFDIR, ipcfs_attr_ino(&key));
	}
	return err == -ENOENT ? -ESTALE : err;
}

int ipcfs_tree_list(struct ipcfs_filesystem *fs, const struct ipcfs_node *directory,
		    struct ipcfs_caller *caller, struct ipcfs_listing *listing)
{
	int err = add_entry(listing, ".", S_IFDIR, ipcfs_attr_ino(&directory->key));

	if (!err)
		err = add_entry(listing, "..", S_IFDIR, 1);
	if (err)
		return err;
	switch (directory->key.kind) {
	case IPCFS_NODE_CLASS:
	case IPCFS_NODE_IDS:
		return list_class(fs, directory, caller, listing);
	case IPCFS_NODE_SELECTORS: /* any number may be looked up: nothing to list */
	case IPCFS_NODE_PROCESSES:
		return 0;
	case IPCFS_NODE_NAMESPACES:
		return ipcfs_registry_list(fs->registry, caller, add_namespace, listing);
	case IPCFS_NODE_PEEKS:
		return list_peeks(fs, directory, listing);
	case IPCFS_NODE_OBJECT:
	case IPCFS_NODE_SELECTED:
	case IPCFS_NODE_SEMAPHORE:
		err = list_object(directory, listing);
		if (!err && directory->key.kind == IPCFS_NODE_OBJECT &&
		    directory->key.object->class->semaphore &&
		    directory->key.object->class->semaphore->sets)
			err = list_semaphores(directory, listing);
		return err;
	default:
		return list_fixed(directory, listing);
	}
}

size_t ipcfs_listing_count(const struct ipcfs_listing *listing)
{
	return listing->entries.size / sizeof(struct ipcfs_listing_entry);
}

void ipcfs_listing_free(struct ipcfs_listing *listing)
{
	ipcfs_text_free(&listing->names);
	ipcfs_text_free(&listing->entries);
	ipcfs_text_free(&listing->infos);
}
