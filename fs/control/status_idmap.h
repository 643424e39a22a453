/* SPDX-License-Identifier: MIT */
/* Writing the ids of status as another user and pid namespace numbers them. Pure. */
#ifndef IPCFS_STATUS_IDMAP_H
#define IPCFS_STATUS_IDMAP_H

#include "backends/contract/caller.h"
#include "backends/contract/text.h"

#define IPCFS_OVERFLOW_ID 65534 /* what the kernel shows of an id without a number */

/* The numbers of users, groups and processes in the reader's namespaces. */
struct ipcfs_status_idmap {
	bool ids;			/* users and groups are mapped */
	const struct ipcfs_id_map *map; /* for users and groups; NULL: none has a number */
	/* Returns the number of a process; 0: it has none. NULL: processes are not mapped. */
	pid_t (*process)(void *arg, pid_t pid);
	void *arg;
};

/*
 * Returns the length of the first line of a status file, with its newline. One in quotes does not
 * end the line.
 */
size_t ipcfs_status_line_size(const char *text, size_t size);

/*
 * Replaces the numbers in the lines of a status file: those of users (keys uid, cuid, ..._uid),
 * groups (gid, cgid) and processes (pid, ..._pid, ..._pid_N).
 * -ENOMEM: *status is unchanged.
 */
int ipcfs_status_idmap_apply(struct ipcfs_text *status, const struct ipcfs_status_idmap *idmap);

#endif
