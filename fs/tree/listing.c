/* SPDX-License-Identifier: MIT */
#include "fs/tree/listing.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/clock.h"
#include "fs/tree/attr.h"
#include "fs/tree/hide.h"
#include "fs/tree/peek.h"
#include "fs/tree/static_tree.h"

#define STEP_NAMES 256		  /* names that one step finds */
#define STEP_NS (3 * 1000 * 1000) /* ns that one step takes where a name takes long to find */

/* Appends a name. -ENOMEM. */
static int add_name(struct ipcfs_listing *listing, const char *name, mode_t type, uint64_t ino)
{
	struct ipcfs_listing_name entry = {
		.ino = ino,
		.name = (uint32_t)listing->names.size,
		.type = type,
	};
	int err;

	if (listing->names.size > UINT32_MAX - NAME_MAX)
		return -ENOMEM;
	err = ipcfs_text_add(&listing->names, name, strlen(name) + 1);
	return err ? err : ipcfs_text_add(&listing->entries, &entry, sizeof(entry));
}

/* Returns the kind of the entries of a class's directory, or of by-id/CLASS/. */
static enum ipcfs_node_kind kind_of_objects(const struct ipcfs_node *directory)
{
	return directory->key.kind == IPCFS_NODE_IDS ? IPCFS_NODE_ID_LINK : IPCFS_NODE_OBJECT;
}

/* Appends the name of an object. For class->walk. */
static int add_object(void *arg, const struct ipcfs_info *info)
{
	const struct ipcfs_lister *lister = arg;
	struct ipcfs_node_key key = { .kind = kind_of_objects(lister->directory) };
	char id[24];

	snprintf(id, sizeof(id), "%d", (int)info->ref.serial);
	return add_name(lister->listing, key.kind == IPCFS_NODE_ID_LINK ? id : info->ref.name,
			ipcfs_attr_type(&key), 0);
}

/* Finds objects in the directory of a class, or in by-id/CLASS/. */
static int list_class(const struct ipcfs_lister *lister)
{
	struct ipcfs_listing *listing = lister->listing;
	const struct ipcfs_class *class = ipcfs_class_at(lister->directory->key.class);
	int more = class->walk(ipcfs_node_space(lister->fs, lister->directory), &listing->walk,
			       add_object, (void *)lister);

	if (more == 1)
		return 0;
	listing->complete = true;
	ipcfs_walk_end(&listing->walk);
	return more;
}

/* Appends the entry ns/INUM. For ipcfs_registry_list. */
static int add_namespace(void *arg, uint64_t inode)
{
	const struct ipcfs_lister *lister = arg;
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)inode);
	return add_name(lister->listing, name, S_IFDIR, ipcfs_attr_ino_of_namespace(inode));
}

static int list_namespaces(const struct ipcfs_lister *lister)
{
	int err = ipcfs_registry_list(lister->fs->registry, lister->caller, add_namespace,
				      (void *)lister);

	lister->listing->complete = err != -ERESTART;
	return err;
}

/* Finds one message of a queue. It has to be copied to learn its type. -ENOENT: there is none. */
static int list_message(const struct ipcfs_lister *lister, uint64_t index)
{
	struct ipcfs_object *object = ipcfs_node_object(lister->fs, lister->directory);
	struct ipcfs_node_key key = lister->directory->key;
	struct ipcfs_text message = { 0 };
	char name[64];
	long type;
	int err = ipcfs_peek_copy(lister->fs, object, (size_t)index, &message, &type);

	ipcfs_text_free(&message);
	if (err)
		return err;
	key.kind = IPCFS_NODE_PEEK;
	key.selector = (int64_t)index;
	key.detail = type;
	snprintf(name, sizeof(name), "%llu.%ld", (unsigned long long)index, type);
	return add_name(lister->listing, name, S_IFREG, ipcfs_attr_ino(lister->fs, &key));
}

/* Finds messages in peek/. The kernel passes by all earlier ones to copy one. */
static int list_messages(const struct ipcfs_lister *lister)
{
	struct ipcfs_listing *listing = lister->listing;
	uint64_t end = ipcfs_clock_ns() + STEP_NS;
	int err = 0;

	for (size_t i = 0; !err && i < STEP_NAMES && ipcfs_clock_ns() < end; i++)
		err = list_message(lister, listing->next++);
	listing->complete = err != 0;
	return err == -ENOENT ? 0 : err;
}

/* Finds the names that the directory has by the table of files. */
static int list_static(const struct ipcfs_lister *lister)
{
	const struct ipcfs_object *object = ipcfs_node_object(lister->fs, lister->directory);
	const struct ipcfs_class *class = object ? object->class : NULL;
	struct ipcfs_node_key key;
	const char *name;
	int err = 0;

	for (size_t i = 0;
	     !err && ipcfs_static_tree_at(&lister->directory->key, class, i, &name, &key); i++)
		err = add_name(lister->listing, name, ipcfs_attr_type(&key),
			       ipcfs_attr_ino(lister->fs, &key));
	lister->listing->complete = true;
	return err;
}

/* Finds N/ of semaphores of a set. */
static int list_semaphores(const struct ipcfs_lister *lister)
{
	const struct ipcfs_object *object = ipcfs_node_object(lister->fs, lister->directory);
	struct ipcfs_listing *listing = lister->listing;
	struct ipcfs_node_key key = lister->directory->key;
	uint64_t end = listing->next + STEP_NAMES;
	struct ipcfs_info info;
	int err = object->class->stat(object->space, &object->ref, &info);

	key.kind = IPCFS_NODE_SEMAPHORE;
	for (; !err && listing->next < info.size && listing->next < end; listing->next++) {
		char name[24];

		key.selector = (int64_t)listing->next;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)listing->next);
		err = add_name(listing, name, S_IFDIR, ipcfs_attr_ino(lister->fs, &key));
	}
	listing->complete = err || listing->next >= info.size;
	return err == -ENOENT ? -ESTALE : err;
}

/* Finds names in the directory of an object: those of files, then the semaphores of a set. */
static int list_object(const struct ipcfs_lister *lister)
{
	const struct ipcfs_object *object = ipcfs_node_object(lister->fs, lister->directory);
	bool has_sets = ipcfs_class_parts(object->class) & IPCFS_HAS_SETS;
	int err = lister->listing->next ? 0 : list_static(lister);

	return !err && has_sets ? list_semaphores(lister) : err;
}

/*
 * The directories that list more than the table of files has. type/, prio/ and pid/ list
 * nothing, though their names can be looked up.
 */
static int (*const lists[IPCFS_NODE_KINDS])(const struct ipcfs_lister *lister) = {
	[IPCFS_NODE_CLASS] = list_class,	   [IPCFS_NODE_IDS] = list_class,
	[IPCFS_NODE_NAMESPACES] = list_namespaces, [IPCFS_NODE_PEEKS] = list_messages,
	[IPCFS_NODE_OBJECT] = list_object,
};

void ipcfs_listing_init(struct ipcfs_listing *listing)
{
	*listing = (struct ipcfs_listing){ .walk = IPCFS_WALK_START };
}

size_t ipcfs_listing_bytes(const struct ipcfs_listing *listing)
{
	return sizeof(*listing) + listing->names.size + listing->entries.size;
}

void ipcfs_listing_free(struct ipcfs_listing *listing)
{
	ipcfs_text_free(&listing->names);
	ipcfs_text_free(&listing->entries);
	ipcfs_walk_end(&listing->walk);
}

int ipcfs_listing_more(const struct ipcfs_lister *lister)
{
	struct ipcfs_listing *listing = lister->listing;
	int (*list)(const struct ipcfs_lister *lister) = lists[lister->directory->key.kind];
	int err = 0;

	if (listing->complete)
		return listing->error;
	if (!listing->entries.size) {
		err = add_name(listing, ".", S_IFDIR,
			       ipcfs_attr_ino(lister->fs, &lister->directory->key));
		if (!err)
			err = add_name(listing, "..", S_IFDIR, IPCFS_NODE_ROOT_ID);
	}
	if (err)
		return err;
	err = list ? list(lister) : list_static(lister);
	if (err && listing->complete)
		listing->error = err;
	return err;
}

size_t ipcfs_listing_count(const struct ipcfs_listing *listing)
{
	return listing->entries.size / sizeof(struct ipcfs_listing_name);
}

/* Fills an entry with the object that has its name now. */
static int find_object(const struct ipcfs_lister *lister, bool full,
		       struct ipcfs_listing_entry *entry)
{
	const struct ipcfs_node *directory = lister->directory;
	const struct ipcfs_class *class = ipcfs_class_at(directory->key.class);
	struct ipcfs_space *space = ipcfs_node_space(lister->fs, directory);
	const struct ipcfs_node_key key = { .kind = kind_of_objects(directory) };
	struct ipcfs_info *info = &entry->info;
	int err = class->find(space, entry->name, info);

	if (!err)
		err = ipcfs_hide_check(lister->fs, space, class, info, lister->caller);
	if (!err && full) {
		const struct ipcfs_ref ref = info->ref;

		err = class->stat(space, &ref, info);
	}
	if (err)
		return err;
	entry->has_info = true;
	entry->ino = ipcfs_attr_ino_of(ipcfs_node_view(lister->fs, directory), class, &info->ref,
				       &key);
	return 0;
}

int ipcfs_listing_entry(const struct ipcfs_lister *lister, size_t index, bool full,
			struct ipcfs_listing_entry *entry)
{
	const struct ipcfs_listing *listing = lister->listing;
	const struct ipcfs_listing_name *names = (const void *)listing->entries.data;

	entry->name = listing->names.data + names[index].name;
	entry->type = names[index].type;
	entry->ino = names[index].ino;
	entry->has_info = false;
	return entry->ino ? 0 : find_object(lister, full, entry);
}
