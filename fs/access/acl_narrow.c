/* SPDX-License-Identifier: MIT */
/*
 * A user is judged by its own entry, if there is one; else by the entries of its groups; else by
 * OTHER. So an entry that is only in one of the lists is compared with all that the other list may
 * say of its user or group.
 */
#include "fs/access/acl_narrow.h"

#define ALL 6U

/* Returns what an entry grants within the mask of its list. */
static unsigned granted(const struct ipcfs_acl *acl, const struct ipcfs_acl_entry *entry)
{
	const struct ipcfs_acl_entry *mask = ipcfs_acl_entry(acl, IPCFS_ACL_MASK);
	bool masked = entry->tag != IPCFS_ACL_USER_OBJ && entry->tag != IPCFS_ACL_OTHER;

	return entry->perm & (masked && mask ? mask->perm : ALL);
}

static const struct ipcfs_acl_entry *find(const struct ipcfs_acl *acl,
					  const struct ipcfs_acl_entry *like)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->entries[i].tag == like->tag && acl->entries[i].id == like->id)
			return &acl->entries[i];
	return NULL;
}

/*
 * Combines what a list may grant to a user or group without an entry: the entries of groups, and
 * OTHER. *least: what each of them grants; *most: what one of them grants.
 */
static void bounds(const struct ipcfs_acl *acl, unsigned *least, unsigned *most)
{
	*least = ALL;
	*most = 0;
	for (size_t i = 0; i < acl->count; i++) {
		const struct ipcfs_acl_entry *entry = &acl->entries[i];

		if (entry->tag != IPCFS_ACL_GROUP_OBJ && entry->tag != IPCFS_ACL_GROUP &&
		    entry->tag != IPCFS_ACL_OTHER)
			continue;
		*least &= granted(acl, entry);
		*most |= granted(acl, entry);
	}
}

bool ipcfs_acl_narrows(const struct ipcfs_acl *from, const struct ipcfs_acl *to)
{
	unsigned least, most, unused;

	bounds(from, &least, &unused);
	bounds(to, &unused, &most);
	for (size_t i = 0; i < to->count; i++) {
		const struct ipcfs_acl_entry *entry = &to->entries[i], *before = find(from, entry);
		unsigned allowed = before ? granted(from, before) : least;

		if (entry->tag != IPCFS_ACL_MASK && granted(to, entry) & ~allowed)
			return false;
	}
	for (size_t i = 0; i < from->count; i++) {
		const struct ipcfs_acl_entry *entry = &from->entries[i];

		if (entry->tag != IPCFS_ACL_MASK && !find(to, entry) &&
		    most & ~granted(from, entry))
			return false;
	}
	return true;
}
