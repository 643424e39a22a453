/* SPDX-License-Identifier: MIT */
/* peek/: queued messages as files, looked at without being taken. */
#ifndef IPCFS_PEEK_H
#define IPCFS_PEEK_H

#include "core.h"

/*
 * Append a copy of message number `index` (0 = oldest) to out; its type in *type. -ENOENT: there is
 * no such message. The backend's errors, -ENOMEM.
 */
int ipcfs_peek_copy(struct ipcfs_filesystem *fs, struct ipcfs_object *object, size_t index,
		    struct ipcfs_text *out, long *type);

/* The size of the message of a peek node. -ENOENT also where another type is at this place now. */
int ipcfs_peek_size(struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key, uint64_t *size);

/* INDEX.TYPE. -ENOENT: no such name. */
int ipcfs_peek_parse(const char *name, size_t *index, long *type);

#endif
