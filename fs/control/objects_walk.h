/* SPDX-License-Identifier: MIT */
/*
 * A walk through the objects of all classes of a view, step by step, for an open file whose reads
 * tell of them. How far it has got is kept in the open file: the listing and the part `lines`.
 */
#ifndef IPCFS_OBJECTS_WALK_H
#define IPCFS_OBJECTS_WALK_H

#include "fs/request/file.h"
#include "fs/tree/listing.h"

#define IPCFS_OBJECTS_WALK_NS (5 * 1000 * 1000) /* ns: a read walks no longer */

/* The walk of one read. */
struct ipcfs_objects_walk {
	struct ipcfs_file *file;
	struct ipcfs_node directory; /* of the class; a node that the kernel does not know */
	struct ipcfs_lister lister;
};

/*
 * Begins or continues the walk of an open file, as `caller` sees the objects. The struct must not
 * move in memory. Call all functions with file->lines.turn held.
 * -ENOMEM: also if the opener can't pay for the listing.
 */
int ipcfs_objects_walk_begin(struct ipcfs_objects_walk *walk, struct ipcfs_filesystem *fs,
			     struct ipcfs_file *file, struct ipcfs_caller *caller);

/* The results of a step of a walk, which may also be a negative errno. */
enum ipcfs_objects_walk_step {
	IPCFS_WALK_GOES_ON, /* call again */
	IPCFS_WALK_AT_NAME, /* ipcfs_objects_walk_entry tells of it; then file->lines.next++ */
	IPCFS_WALK_AT_END,  /* no object is left */
};

/*
 * Takes one step, of a few ms at most. An error is told once; the walk goes on behind it. With
 * `has_lines` the read has lines, which go first, and the error is told by the next step, too.
 * -ENOMEM: also if the opener can't pay for the names.
 * The errors of the class.
 */
int ipcfs_objects_walk_step(struct ipcfs_objects_walk *walk, bool has_lines);

/*
 * Returns what the walk is at. Names that are no objects have no info.
 * -ENOENT: the object is gone, or hidden from the caller.
 * -ENOMEM, and the errors of the class.
 */
int ipcfs_objects_walk_entry(const struct ipcfs_objects_walk *walk,
			     struct ipcfs_listing_entry *entry);

/* Return the class that the walk is at, and the space of its objects. */
const struct ipcfs_class *ipcfs_objects_walk_class(const struct ipcfs_objects_walk *walk);
struct ipcfs_space *ipcfs_objects_walk_space(const struct ipcfs_objects_walk *walk);

#endif
