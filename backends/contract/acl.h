/* SPDX-License-Identifier: MIT */
/* Access control lists, acl(5), as plain data, and their two other forms: attribute and text. */
#ifndef IPCFS_ACL_H
#define IPCFS_ACL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/text.h"

/* The extended attribute by which setfacl(1), getfacl(1) and the kernel pass a list. */
#define IPCFS_ACL_ATTRIBUTE "system.posix_acl_access"

/* The tags in the order in which entries stand in a list. The values are the kernel's. */
enum ipcfs_acl_tag {
	IPCFS_ACL_USER_OBJ = 0x01,
	IPCFS_ACL_USER = 0x02,
	IPCFS_ACL_GROUP_OBJ = 0x04,
	IPCFS_ACL_GROUP = 0x08,
	IPCFS_ACL_MASK = 0x10,
	IPCFS_ACL_OTHER = 0x20,
};

struct ipcfs_acl_entry {
	uint16_t tag;  /* enum ipcfs_acl_tag */
	uint16_t perm; /* 4 read, 2 write; execute means nothing on an object */
	uint32_t id;   /* of IPCFS_ACL_USER: the uid; of IPCFS_ACL_GROUP: the gid; else 0 */
};

/* A valid list (acl_valid(3)), or no list: count 0. */
struct ipcfs_acl {
	size_t count;
	struct ipcfs_acl_entry *entries; /* owned */
};

/* Frees the entries. The struct is no list then. */
void ipcfs_acl_free(struct ipcfs_acl *acl);

/* Declares a list that is freed at the end of its scope. */
#define IPCFS_ACL_AUTO __attribute__((cleanup(ipcfs_acl_free))) struct ipcfs_acl

/*
 * Makes *to a copy with entries of its own. The former entries of *to are not freed.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_acl_copy(struct ipcfs_acl *to, const struct ipcfs_acl *from);

/*
 * Parses the value of the attribute (<linux/posix_acl_xattr.h>) into *acl, to be freed with
 * ipcfs_acl_free. Execute bits are dropped.
 * -EINVAL: the value is malformed, or the list is not valid.
 * -EOPNOTSUPP: the value has another version.
 * -ENOMEM.
 */
int ipcfs_acl_parse(struct ipcfs_acl *acl, const void *bytes, size_t size);

/*
 * Appends the value of the attribute.
 * -ENOMEM.
 */
int ipcfs_acl_format(const struct ipcfs_acl *acl, struct ipcfs_text *out);

/*
 * Appends the long text form of acl(5): a line for each entry, with numbers instead of names.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_acl_print(const struct ipcfs_acl *acl, struct ipcfs_text *out);

/*
 * Reads what ipcfs_acl_print has printed into *acl, to be freed with ipcfs_acl_free.
 * -EINVAL: the text has another form, or the list is not valid.
 * -ENOMEM.
 */
int ipcfs_acl_read(struct ipcfs_acl *acl, const char *text);

/* Returns the list's first entry with this tag, or NULL. It belongs to the list. */
struct ipcfs_acl_entry *ipcfs_acl_entry(const struct ipcfs_acl *acl, enum ipcfs_acl_tag tag);

/* Returns whether the list says more than nine mode bits can. */
static inline int ipcfs_acl_is_extended(const struct ipcfs_acl *acl)
{
	return acl->count > 3;
}

/*
 * Returns the mode that stat(2) shows: the group's bits are those of the mask, where there is one.
 */
mode_t ipcfs_acl_mode(const struct ipcfs_acl *acl);

/* Returns the mode without a list: the group's bits are the owning group's, limited by the mask. */
mode_t ipcfs_acl_plain_mode(const struct ipcfs_acl *acl);

/*
 * Changes the list as chmod(2) does: the mode's bits go to USER_OBJ, to MASK (without a mask: to
 * GROUP_OBJ), and to OTHER.
 */
void ipcfs_acl_chmod(struct ipcfs_acl *acl, mode_t mode);

#endif
