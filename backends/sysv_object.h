/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of System V objects have in common: they are found by key or id, looked at with
 * the *_STAT_ANY calls, and known by an id that has a sequence number in it. *_STAT_ANY needs no right to
 * read: it takes an index of the kernel's table, or an id, of which it drops the sequence number, and
 * returns the id of what is there now.
 */
#ifndef IPCFS_SYSV_OBJECT_H
#define IPCFS_SYSV_OBJECT_H

#include <sys/ipc.h>

#include "backend.h"

struct ipcfs_sysv_kind {
	/*
	 * Look at what has this index, or this id but for its sequence number: its id, and *info but
	 * for ref, which the caller sets from the id and info->ref.key. Negative errno.
	 */
	int (*look)(int place, struct ipcfs_info *info);
	int (*highest)(void);  /* the highest index in use; negative errno */
	int (*get)(key_t key); /* the id of the object with this key; negative errno */
	int (*remove)(int id); /* IPC_RMID; 0 or negative errno */

	/* IPC_SET, to what all the fields say (IPCFS_CHANGE_*) that the kind has; 0 or negative errno. */
	uint32_t fields;
	int (*set)(int id, const struct ipcfs_change *all);
};

void ipcfs_sysv_perm(const struct ipc_perm *from, struct ipcfs_perm *perm);

/* The object of this id. -EIDRM: it was removed. */
int ipcfs_sysv_look(const struct ipcfs_sysv_kind *kind, int id, struct ipcfs_info *info);

/* Is this still the object that has the name: 0, -ENOENT, -EIDRM (another one has its key). */
int ipcfs_sysv_verify(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref);

/* find, stat, list, remove and change of backend.h. */
int ipcfs_sysv_find(const struct ipcfs_sysv_kind *kind, const char *name, struct ipcfs_info *info);
int ipcfs_sysv_stat(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info);
int ipcfs_sysv_list(const struct ipcfs_sysv_kind *kind,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg);
int ipcfs_sysv_remove(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller);
int ipcfs_sysv_change(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *wanted, const struct ipcfs_caller *caller);

/* The key that a name to be made asks for, IPC_PRIVATE for IPCFS_SYSV_PRIVATE. -EINVAL, -ENAMETOOLONG. */
int ipcfs_sysv_make_key(const char *name, key_t *key);

#endif
