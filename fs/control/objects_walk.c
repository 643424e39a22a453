/* SPDX-License-Identifier: MIT */
#include "fs/control/objects_walk.h"

#include <errno.h>
#include <stdlib.h>

/* Goes on to the next class. After the last one file->lines.class has no class. */
static void next_class(struct ipcfs_objects_walk *walk)
{
	struct ipcfs_file *file = walk->file;

	ipcfs_listing_free(file->directory.listing);
	ipcfs_listing_init(file->directory.listing);
	file->lines.next = 0;
	walk->directory.key.class = ++file->lines.class;
}

int ipcfs_objects_walk_begin(struct ipcfs_objects_walk *walk, struct ipcfs_filesystem *fs,
			     struct ipcfs_file *file, struct ipcfs_caller *caller)
{
	if (!file->directory.listing) {
		file->directory.listing = malloc(sizeof(*file->directory.listing));
		if (!file->directory.listing)
			return -ENOMEM;
		ipcfs_listing_init(file->directory.listing);
		file->lines.class = 1;
	}
	walk->file = file;
	walk->directory = (struct ipcfs_node){
		.key = { .kind = IPCFS_NODE_CLASS,
			 .view = file->key.view,
			 .class = file->lines.class },
	};
	walk->lister = (struct ipcfs_lister){
		.fs = fs,
		.directory = &walk->directory,
		.caller = caller,
		.listing = file->directory.listing,
	};
	return 0;
}

/* Drops the names that were used, and finds some more. -ENOMEM: also if the opener can't pay. */
static int find_more(struct ipcfs_objects_walk *walk)
{
	struct ipcfs_listing *listing = walk->lister.listing;
	int err;

	ipcfs_text_cut(&listing->names, 0);
	ipcfs_text_cut(&listing->entries, 0);
	walk->file->lines.next = 0;
	err = ipcfs_listing_more(&walk->lister);
	if (err)
		return listing->complete ? IPCFS_WALK_GOES_ON : err; /* end_class tells it */
	pthread_mutex_lock(&walk->file->lock);
	err = ipcfs_file_charge(walk->lister.fs, walk->file);
	pthread_mutex_unlock(&walk->file->lock);
	return err;
}

/* Goes on to the next class. An error that has ended the listing of this one is told before. */
static int end_class(struct ipcfs_objects_walk *walk, bool has_lines)
{
	int err = walk->lister.listing->error;

	if (!err || !has_lines)
		next_class(walk);
	return err; /* 0 is IPCFS_WALK_GOES_ON */
}

int ipcfs_objects_walk_step(struct ipcfs_objects_walk *walk, bool has_lines)
{
	const struct ipcfs_listing *listing = walk->lister.listing;

	if (!ipcfs_objects_walk_class(walk))
		return IPCFS_WALK_AT_END;
	if (walk->file->lines.next < ipcfs_listing_count(listing))
		return IPCFS_WALK_AT_NAME;
	return listing->complete ? end_class(walk, has_lines) : find_more(walk);
}

int ipcfs_objects_walk_entry(const struct ipcfs_objects_walk *walk,
			     struct ipcfs_listing_entry *entry)
{
	return ipcfs_listing_entry(&walk->lister, walk->file->lines.next, false, entry);
}

const struct ipcfs_class *ipcfs_objects_walk_class(const struct ipcfs_objects_walk *walk)
{
	return ipcfs_class_at(walk->directory.key.class);
}

struct ipcfs_space *ipcfs_objects_walk_space(const struct ipcfs_objects_walk *walk)
{
	return ipcfs_node_space(walk->lister.fs, &walk->directory);
}
