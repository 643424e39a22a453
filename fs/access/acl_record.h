/* SPDX-License-Identifier: MIT */
/* A record of the store: one list, what identifies its object, and the text of its file. */
#ifndef IPCFS_ACL_RECORD_H
#define IPCFS_ACL_RECORD_H

#include "backends/contract/acl.h"
#include "backends/contract/contract.h"

#define IPCFS_ACL_RECORD_ENTRIES 500 /* of a list: the kernel passes on 4096 bytes */

struct ipcfs_acl_record {
	const struct ipcfs_class *class;
	struct ipcfs_ref ref;
	/* System V only, else 0. */
	uid_t cuid;
	gid_t cgid;
	struct timespec ctime; /* the object's, when it was checked last */
	struct ipcfs_acl acl;  /* owned */
};

/* Fills in everything but the list, from the object's information. */
void ipcfs_acl_record_of(struct ipcfs_acl_record *record, const struct ipcfs_class *class,
			 const struct ipcfs_info *info);

/*
 * Tells whether the object of this ref and these permissions is the record's. Another one may get
 * the same serial and key; then its creator or its name differs.
 */
bool ipcfs_acl_record_is_of(const struct ipcfs_acl_record *record, const struct ipcfs_ref *ref,
			    const struct ipcfs_perm *perm);

/* Appends the text of the record's file. -ENOMEM: nothing is appended. */
int ipcfs_acl_record_format(const struct ipcfs_acl_record *record,
			    const struct ipcfs_space_identity *space, struct ipcfs_text *out);

/*
 * Reads a record from the text of a file. Free record->acl with ipcfs_acl_free.
 *   -EINVAL: not a text that ipcfs_acl_record_format writes.
 *   -ESTALE: of another IPC namespace, or that can't be told.
 *   -ENOMEM
 */
int ipcfs_acl_record_parse(struct ipcfs_acl_record *record,
			   const struct ipcfs_space_identity *space, const char *text);

/* Writes the name of the record's file. */
#define IPCFS_ACL_RECORD_NAME 96
void ipcfs_acl_record_name(const struct ipcfs_class *class, const struct ipcfs_ref *ref,
			   char name[IPCFS_ACL_RECORD_NAME]);

#endif
