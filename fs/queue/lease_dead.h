/* SPDX-License-Identifier: MIT */
/* `dead QUEUE`: sends a leased message to another queue. */
#ifndef IPCFS_LEASE_DEAD_H
#define IPCFS_LEASE_DEAD_H

#include "fs/request/file.h"

/* A message that a broker's queue has taken over, but not stored. */
struct ipcfs_lease_sending {
	struct ipcfs_object *object; /* a reference; open for sending */
	int handle;
	uint64_t token; /* for `sent` */
};

/*
 * Sends a leased message to the queue of this path, which is one from the mount's root, or with
 * -o namespaces from that of the file's namespace. A type that the queue can't have, and that of
 * messages without one, become the queue's own for messages without one. Errors as
 * ipcfs_lease_write.
 * -EINPROGRESS: *sending is set, for ipcfs_lease_dead_end.
 */
int ipcfs_lease_dead(fuse_req_t req, struct ipcfs_file *file, long type,
		     const struct ipcfs_text *text, const char *path,
		     struct ipcfs_lease_sending *sending);

/* Ends the sending, of which `sent` has told this result, or another one that is no result yet. */
void ipcfs_lease_dead_end(struct ipcfs_filesystem *fs, struct ipcfs_lease_sending *sending,
			  int err);

#endif
