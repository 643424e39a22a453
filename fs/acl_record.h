/* SPDX-License-Identifier: MIT */
/* One list of the store, with what tells that its object is the one it was set on; as a file has it. */
#ifndef IPCFS_ACL_RECORD_H
#define IPCFS_ACL_RECORD_H

#include "../backends/acl.h"
#include "../backends/backend.h"

struct ipcfs_acl_record {
	const struct ipcfs_backend *class;
	struct ipcfs_ref ref;
	/* System V; else 0 */
	uid_t cuid;
	gid_t cgid;
	struct timespec ctime; /* when last looked at */
	struct ipcfs_acl acl;  /* owned */
};

/* Everything but the list, from a look at the object. */
void ipcfs_acl_record_of(struct ipcfs_acl_record *record, const struct ipcfs_backend *class,
			 const struct ipcfs_info *info);

/* Are these the permissions of the object that `record` is of, and not of one that has its serial and key? */
bool ipcfs_acl_record_is_of(const struct ipcfs_acl_record *record, const struct ipcfs_ref *ref,
			    const struct ipcfs_perm *perm);

/* What is in its file, appended. -ENOMEM. */
int ipcfs_acl_record_format(const struct ipcfs_acl_record *record,
			    const struct ipcfs_space_identity *space, struct ipcfs_text *out);

/*
 * From what is in a file; record->acl is freed by the caller. -EINVAL: it is not what format writes;
 * -ESTALE: of another namespace, or that can't be told; -ENOMEM.
 */
int ipcfs_acl_record_parse(struct ipcfs_acl_record *record,
			   const struct ipcfs_space_identity *space, const char *text);

/* The name of its file. */
#define IPCFS_ACL_RECORD_NAME 96
void ipcfs_acl_record_name(const struct ipcfs_backend *class, const struct ipcfs_ref *ref,
			   char name[IPCFS_ACL_RECORD_NAME]);

#endif
