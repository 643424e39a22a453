/* SPDX-License-Identifier: MIT */
/*
 * Looks at the objects of a view: compared with the objects as they were last seen, they tell what
 * direct callers have done. An act of a caller of the mount is noted at once, and no look tells of
 * it again.
 *
 * Of classes with a trail, its records tell which names were made and removed (known_record.h), and
 * the looks tell the rest. They tell of an object that the trail has missed when two looks in a row
 * have, or have not, seen it.
 *
 * Pure; the caller locks.
 */
#ifndef IPCFS_KNOWN_H
#define IPCFS_KNOWN_H

#include "fs/events/known_table.h"

/* Begin and end a look. The first one only fills the table. */
void ipcfs_known_begin(struct ipcfs_known *known);
void ipcfs_known_end(struct ipcfs_known *known);

/*
 * Compares an object that the look has seen, with all fields of class->stat, and notes its state.
 * What the mount's callers did since the look began comes first: the object may not be as it was
 * seen.
 */
void ipcfs_known_see(struct ipcfs_known *known, const struct ipcfs_class *class,
		     const struct ipcfs_info *info, const struct ipcfs_finding *finding);

/*
 * Ends the look at a class, after all of its objects were passed: those that it has not seen are
 * removed, and then those that are new were created.
 */
void ipcfs_known_sweep(struct ipcfs_known *known, const struct ipcfs_class *class,
		       const struct ipcfs_finding *finding);

/*
 * Note what a caller of the mount has done. `created` and `removed` return false where a look or the
 * trail has told of it already. They tell first of what a direct caller must have done before.
 */
bool ipcfs_known_created(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_info *info, const struct ipcfs_finding *finding);
bool ipcfs_known_removed(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_info *info, const struct ipcfs_finding *finding);
void ipcfs_known_changed(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_ref *ref);

#endif
