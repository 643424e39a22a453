/* SPDX-License-Identifier: MIT */
/* The files of peek/: copies of queued messages, which stay in the queue. */
#ifndef IPCFS_PEEK_H
#define IPCFS_PEEK_H

#include "fs/tree/state.h"

/*
 * Appends the text of message `index` (0: the oldest) to `out`, and returns its type in *type.
 * -ENOENT: there is no such message, or the queue was removed.
 * -ENOMEM, and the errors of queue->open, queue->fstat and queue->peek.
 */
int ipcfs_peek_copy(struct ipcfs_filesystem *fs, struct ipcfs_object *object, size_t index,
		    struct ipcfs_text *out, long *type);

/*
 * Returns in *size the number of bytes of the message that a peek node stands for. The errors of
 * ipcfs_peek_copy, and
 * -ENOENT: the message at this index now has another type.
 */
int ipcfs_peek_size(struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key, uint64_t *size);

/* Parses a name in peek/, INDEX.TYPE. -ENOENT: peek/ can have no such name. */
int ipcfs_peek_parse(const char *name, size_t *index, long *type);

#endif
