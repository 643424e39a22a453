/* SPDX-License-Identifier: MIT */
/* Access control lists, acl(5): plain data, as the kernel's extended attribute and libacl have them. */
#ifndef IPCFS_ACL_H
#define IPCFS_ACL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "text.h"

/* The name of the extended attribute in which setfacl(1) and the kernel pass them. */
#define IPCFS_ACL_ATTRIBUTE "system.posix_acl_access"

/* In the order in which entries stand in a list; the values are the kernel's. */
enum ipcfs_acl_tag {
	IPCFS_ACL_USER_OBJ = 0x01,
	IPCFS_ACL_USER = 0x02,
	IPCFS_ACL_GROUP_OBJ = 0x04,
	IPCFS_ACL_GROUP = 0x08,
	IPCFS_ACL_MASK = 0x10,
	IPCFS_ACL_OTHER = 0x20,
};

struct ipcfs_acl_entry {
	uint16_t tag;
	uint16_t perm; /* 4 read, 2 write; execute means nothing on an object */
	uint32_t id;   /* IPCFS_ACL_USER, IPCFS_ACL_GROUP: whose; else 0 */
};

/* A valid list, or (count 0) none. The entries are the list's own. */
struct ipcfs_acl {
	size_t count;
	struct ipcfs_acl_entry *entries;
};

void ipcfs_acl_free(struct ipcfs_acl *acl);
#define IPCFS_ACL_AUTO __attribute__((cleanup(ipcfs_acl_free))) struct ipcfs_acl

/* A deep copy; what `to` held is not freed. -ENOMEM. */
int ipcfs_acl_copy(struct ipcfs_acl *to, const struct ipcfs_acl *from);

/*
 * From the value of the attribute, <linux/posix_acl_xattr.h>. Execute bits are dropped. -EINVAL: it is
 * malformed, or no valid list (acl_valid(3)); -EOPNOTSUPP: another version; -ENOMEM.
 */
int ipcfs_acl_parse(struct ipcfs_acl *acl, const void *bytes, size_t size);

/* The value of the attribute, appended. -ENOMEM. */
int ipcfs_acl_format(const struct ipcfs_acl *acl, struct ipcfs_text *out);

/*
 * The long text form of acl(5), a line an entry, with numbers instead of names; and back. -EINVAL:
 * not such a text, or no valid list; -ENOMEM.
 */
int ipcfs_acl_print(const struct ipcfs_acl *acl, struct ipcfs_text *out);
int ipcfs_acl_read(struct ipcfs_acl *acl, const char *text);

/* The first entry with this tag (and, for IPCFS_ACL_USER and IPCFS_ACL_GROUP, any id); NULL. */
struct ipcfs_acl_entry *ipcfs_acl_entry(const struct ipcfs_acl *acl, enum ipcfs_acl_tag tag);

/* Does it say more than nine mode bits can? */
static inline int ipcfs_acl_is_extended(const struct ipcfs_acl *acl)
{
	return acl->count > 3;
}

/* The mode that stat(2) shows of it: the group's bits are the mask's where there is one. */
mode_t ipcfs_acl_mode(const struct ipcfs_acl *acl);

/* The mode for those who know of no list: the group's bits are what the group may with the mask. */
mode_t ipcfs_acl_plain_mode(const struct ipcfs_acl *acl);

/* chmod(2): USER_OBJ, MASK (GROUP_OBJ where there is none) and OTHER follow the mode. */
void ipcfs_acl_chmod(struct ipcfs_acl *acl, mode_t mode);

#endif
