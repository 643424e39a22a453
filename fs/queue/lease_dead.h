/* SPDX-License-Identifier: MIT */
/* `dead QUEUE`: sends a leased message to another queue. */
#ifndef IPCFS_LEASE_DEAD_H
#define IPCFS_LEASE_DEAD_H

#include "fs/request/file.h"

/*
 * Sends a leased message to the queue of this path, which is one from the mount's root, or with
 * -o namespaces from that of the file's namespace. A type that the queue can't have, and that of
 * messages without one, become the queue's own for messages without one. Waits for a broker, two
 * seconds at most. Errors as ipcfs_lease_write.
 */
int ipcfs_lease_dead(fuse_req_t req, struct ipcfs_file *file, long type,
		     const struct ipcfs_text *text, const char *path);

#endif
