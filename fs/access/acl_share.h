/* SPDX-License-Identifier: MIT */
/* How many lists and entries the objects of each uid have in a store. Not thread-safe. */
#ifndef IPCFS_ACL_SHARE_H
#define IPCFS_ACL_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of one uid: a sixteenth of what a namespace may have. */
#define IPCFS_ACL_SHARE_LISTS 4096
#define IPCFS_ACL_SHARE_ENTRIES 65536

struct ipcfs_acl_share;

/* Tells whether the uid may have so many lists and entries more. */
bool ipcfs_acl_share_has_room(const struct ipcfs_acl_share *shares, uid_t uid, size_t lists,
			      size_t entries);

/* Counts a list of so many entries for the uid, until ipcfs_acl_share_drop. -ENOMEM. */
int ipcfs_acl_share_add(struct ipcfs_acl_share **shares, uid_t uid, size_t entries);
void ipcfs_acl_share_drop(struct ipcfs_acl_share **shares, uid_t uid, size_t entries);

#endif
