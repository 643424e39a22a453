/* SPDX-License-Identifier: MIT */
#include "backends/caller/act_as.h"

#include <errno.h>

#include "backends/caller/impersonate.h"
#include "backends/caller/impersonate_child.h"

int ipcfs_act_as(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg, size_t size)
{
	const struct ipcfs_child_terms terms = { .caller = caller };

	if (ipcfs_impersonate_child_joins(caller))
		return ipcfs_impersonate_child(&terms, work, arg, size);
	if (!ipcfs_impersonate_child_knows(caller))
		return -EPERM;
	return ipcfs_impersonate(caller, work, arg);
}

int ipcfs_act_as_uid(const struct ipcfs_caller *caller, uid_t uid, uid_t *there)
{
	if (ipcfs_impersonate_child_joins(caller))
		return ipcfs_id_map_uid(caller->map, uid, there);
	*there = uid;
	return 0;
}

int ipcfs_act_as_gid(const struct ipcfs_caller *caller, gid_t gid, gid_t *there)
{
	if (ipcfs_impersonate_child_joins(caller))
		return ipcfs_id_map_gid(caller->map, gid, there);
	*there = gid;
	return 0;
}
