/* SPDX-License-Identifier: MIT */
/*
 * The permissions of objects: what the kernel has of them, and the access control lists that it keeps
 * (files of /dev/shm) or that we keep (all other kinds).
 */
#ifndef IPCFS_PERMISSION_H
#define IPCFS_PERMISSION_H

#include "access.h"
#include "core.h"

/*
 * May the caller do what `want` says (IPCFS_WANT_*) to the object, which has these permissions now? With a
 * `handle` (else -1) the list is that of what it stands for. `load` and *reason as for ipcfs_access. -EACCES, -ENOMEM.
 */
int ipcfs_permission_check(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			   const struct ipcfs_ref *ref, const struct ipcfs_perm *perm, int handle,
			   unsigned want, struct ipcfs_caller *caller,
			   int (*load)(struct ipcfs_caller *caller), enum ipcfs_reason *reason);

/* The object's list now; count 0: it has none. Freed with ipcfs_acl_free. -ENOENT, -ENOMEM. */
int ipcfs_permission_acl(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			 const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			 struct ipcfs_acl *acl);

/* The nine bits that stat(2) shows: the group's are the mask's where there is a list. */
mode_t ipcfs_permission_mode(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			     const struct ipcfs_info *info);

/*
 * Set the object's list, and its mode with it; one that is not extended takes it away. As the caller (loaded), who
 * has to be allowed to change the mode. -EPERM; -EBUSY: another daemon keeps this namespace's lists; -ENOSPC,
 * -ENOENT, -ENOMEM. Nothing is changed then.
 */
int ipcfs_permission_set_acl(struct ipcfs_object *object, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller);

/* An object was removed: its list goes with it. */
void ipcfs_permission_removed(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			      const struct ipcfs_ref *ref);

/* The backend's change, with which the object's list stays in step. */
int ipcfs_permission_change(struct ipcfs_object *object, const struct ipcfs_change *change,
			    const struct ipcfs_caller *caller);

#endif
