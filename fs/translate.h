/* SPDX-License-Identifier: MIT */
/* Numbers of users, groups and processes, as those know them who are in other user and pid namespaces than ours. Pure. */
#ifndef IPCFS_TRANSLATE_H
#define IPCFS_TRANSLATE_H

#include "../backends/id_map.h"
#include "../backends/text.h"

#define IPCFS_OVERFLOW_ID 65534 /* what the kernel shows of an id that has no number there */

struct ipcfs_translation {
	bool ids; /* users and groups, too */
	const struct ipcfs_id_map *map;
	pid_t (*process)(void *arg,
			 pid_t pid); /* 0: it has no number there. NULL: they stay as they are */
	void *arg;
};

/*
 * Replace the numbers of users (keys uid, cuid, ..._uid), groups (gid, cgid) and processes (..._pid, ..._pid_N) in
 * the lines of a status file. -ENOMEM: it is as it was.
 */
int ipcfs_translate_status(struct ipcfs_text *status, const struct ipcfs_translation *translation);

#endif
