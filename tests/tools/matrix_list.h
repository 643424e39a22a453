/* SPDX-License-Identifier: MIT */
/* Access control lists, acl(5), as the tests make and change them. */
#ifndef IPCFS_MATRIX_LIST_H
#define IPCFS_MATRIX_LIST_H

#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include "matrix.h"
#include "peer.h"

#define ENTRIES 12

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct list {
	size_t count;
	struct entry entries[ENTRIES];
};

/* The form of the attribute. */
static void put_list(const struct list *list, struct matrix_arguments *arguments)
{
	struct posix_acl_xattr_header *header = (void *)arguments->list;
	struct posix_acl_xattr_entry *entry = (void *)(header + 1);

	header->a_version = htole32(POSIX_ACL_XATTR_VERSION);
	for (size_t i = 0; i < list->count; i++, entry++) {
		bool named = list->entries[i].tag & (ACL_USER | ACL_GROUP);

		entry->e_tag = htole16(list->entries[i].tag);
		entry->e_perm = htole16(list->entries[i].perm);
		entry->e_id = htole32(named ? list->entries[i].id : (uint32_t)ACL_UNDEFINED_ID);
	}
	arguments->list_size = (size_t)((char *)entry - arguments->list);
}

static struct entry *find(struct list *list, uint16_t tag, uint32_t id)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->entries[i].tag == tag &&
		    (!(tag & (ACL_USER | ACL_GROUP)) || list->entries[i].id == id))
			return &list->entries[i];
	return NULL;
}

/* Adds an entry in its place: by tag, then by id. An existing entry gets more rights. */
static void add(struct list *list, uint16_t tag, uint32_t id, uint16_t perm)
{
	struct entry *there = find(list, tag, id);
	size_t at = list->count;

	if (there) {
		there->perm |= perm;
		return;
	}
	if (list->count == ENTRIES)
		peer_die("a list too long");
	for (; at && (list->entries[at - 1].tag > tag ||
		      (list->entries[at - 1].tag == tag && list->entries[at - 1].id > id));
	     at--)
		list->entries[at] = list->entries[at - 1];
	list->entries[at] = (struct entry){ tag, perm, id };
	list->count++;
}

/* Returns the entry whose bits stat(2) shows as the group's. */
static struct entry *find_middle(struct list *list)
{
	struct entry *mask = find(list, ACL_MASK, 0);

	return mask ? mask : find(list, ACL_GROUP_OBJ, 0);
}

/* As chmod(2) does. */
static void chmod_list(struct list *list, mode_t mode)
{
	struct entry *middle = find_middle(list);

	middle->perm = mode >> 3 & 6;
	find(list, ACL_USER_OBJ, 0)->perm = mode >> 6 & 6;
	find(list, ACL_OTHER, 0)->perm = mode & 6;
}

/* Changes a list that the daemon keeps, as a direct change of the mode does. */
static void follow_mode(struct list *list, mode_t mode)
{
	struct entry *mask = find(list, ACL_MASK, 0), *group = find(list, ACL_GROUP_OBJ, 0);

	if ((group->perm & (mask ? mask->perm : 6)) != (mode >> 3 & 6))
		group->perm = mode >> 3 & 6;
	find(list, ACL_USER_OBJ, 0)->perm = mode >> 6 & 6;
	find(list, ACL_OTHER, 0)->perm = mode & 6;
}

/* Prints what a complaint was about. */
static void describe(const struct list *list)
{
	if (peer_failures > 100)
		return;
	for (size_t i = 0; i < list->count; i++)
		printf("%s%#x:%d:%c%c", i ? ", " : "  ", list->entries[i].tag,
		       (int)list->entries[i].id, list->entries[i].perm & 4 ? 'r' : '-',
		       list->entries[i].perm & 2 ? 'w' : '-');
	printf("\n");
}

#endif
