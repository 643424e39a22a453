/* SPDX-License-Identifier: MIT */
/* Parses what is written to lease. Pure functions. */
#ifndef IPCFS_LEASE_VERDICT_H
#define IPCFS_LEASE_VERDICT_H

#include <limits.h>
#include <stddef.h>

enum ipcfs_verdict {
	IPCFS_VERDICT_DONE,  /* the message is gone */
	IPCFS_VERDICT_AGAIN, /* it goes back to its queue */
	IPCFS_VERDICT_DEAD,  /* it goes to another queue, or is dropped */
};

#define IPCFS_VERDICT_QUEUE_SIZE (NAME_MAX + 32) /* bytes of a path, with its NUL */

/* A line that a caller has written to lease. */
struct ipcfs_lease_verdict {
	enum ipcfs_verdict verdict;
	char queue[IPCFS_VERDICT_QUEUE_SIZE]; /* of `dead`: a path from the root; "": none */
};

/*
 * Parses a verdict: one line, `done`, `again`, `dead` or `dead QUEUE`, with or without a newline.
 * All bytes behind the one blank are the path.
 * -EINVAL: it is something else, or the path is empty.
 * -ENAMETOOLONG: no queue has so long a path.
 */
int ipcfs_lease_verdict_parse(const char *bytes, size_t size, struct ipcfs_lease_verdict *verdict);

#endif
