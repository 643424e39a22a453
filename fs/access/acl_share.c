/* SPDX-License-Identifier: MIT */
#include "fs/access/acl_share.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/base/hash.h"

struct ipcfs_acl_share {
	uid_t uid;
	size_t lists, entries;
	UT_hash_handle hh;
};

static struct ipcfs_acl_share *find(const struct ipcfs_acl_share *shares, uid_t uid)
{
	struct ipcfs_acl_share *share;

	HASH_FIND(hh, shares, &uid, sizeof(uid), share);
	return share;
}

bool ipcfs_acl_share_has_room(const struct ipcfs_acl_share *shares, uid_t uid, size_t lists,
			      size_t entries)
{
	const struct ipcfs_acl_share *share = find(shares, uid);

	return (share ? share->lists : 0) + lists <= IPCFS_ACL_SHARE_LISTS &&
	       (share ? share->entries : 0) + entries <= IPCFS_ACL_SHARE_ENTRIES;
}

int ipcfs_acl_share_add(struct ipcfs_acl_share **shares, uid_t uid, size_t entries)
{
	struct ipcfs_acl_share *share = find(*shares, uid);

	if (!share) {
		share = calloc(1, sizeof(*share));
		if (!share)
			return -ENOMEM;
		share->uid = uid;
		HASH_ADD(hh, *shares, uid, sizeof(uid), share);
		if (!share->hh.tbl) {
			free(share);
			return -ENOMEM;
		}
	}
	share->lists++;
	share->entries += entries;
	return 0;
}

void ipcfs_acl_share_drop(struct ipcfs_acl_share **shares, uid_t uid, size_t entries)
{
	struct ipcfs_acl_share *share = find(*shares, uid);

	share->lists--;
	share->entries -= entries;
	if (share->lists)
		return;
	HASH_DEL(*shares, share);
	free(share);
}
