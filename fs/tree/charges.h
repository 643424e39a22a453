/* SPDX-License-Identifier: MIT */
/*
 * Memory of segments that the daemon made for users, by writes and fallocate(2). Each user pays for
 * what grew by its requests, as long as the object exists and has so much memory. Nothing tells when
 * direct callers free memory or remove an object, so this is looked up when a user has reached its
 * limit, and of two objects whenever a user begins to pay for one, so that no more are kept than
 * there are. An object that users pay for is kept (object.h).
 */
#ifndef IPCFS_CHARGES_H
#define IPCFS_CHARGES_H

#include "fs/tree/object.h"

/*
 * Counts for the user that the object, of which there is a reference, may grow by so many bytes
 * until ipcfs_charges_end. If the user has reached its limit, looks for 5 ms which objects that the
 * user pays for have less memory by now.
 * -ENOMEM: the user would have more than max_bytes; or there is no memory.
 */
int ipcfs_charges_begin(struct ipcfs_objects *objects, struct ipcfs_object *object, uid_t uid,
			uint64_t bytes);

/* Counts by how many bytes the object has grown, in place of those of ipcfs_charges_begin. */
void ipcfs_charges_end(struct ipcfs_objects *objects, struct ipcfs_object *object, uid_t uid,
		       uint64_t bytes, uint64_t grown);

#endif
