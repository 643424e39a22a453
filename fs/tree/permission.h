/* SPDX-License-Identifier: MIT */
/*
 * The permissions of objects: owner, group and mode, which the kernel has, and access control
 * lists. The kernel keeps the lists of POSIX segments and semaphores (files of /dev/shm), the
 * daemon all others.
 */
#ifndef IPCFS_PERMISSION_H
#define IPCFS_PERMISSION_H

#include "fs/access/access.h"
#include "fs/tree/state.h"

/* An object whose permissions are asked for. It may have no struct ipcfs_object. */
struct ipcfs_permission_target {
	const struct ipcfs_space *space;
	const struct ipcfs_class *class;
	const struct ipcfs_ref *ref;
	const struct ipcfs_perm *perm; /* as they are now */
	int handle; /* an open handle of the object, to ask for its list; -1: ask by its name */
};

/*
 * Checks that the caller may do `want` (IPCFS_WANT_*, or'ed) to the object. `load` and *reason
 * are as for ipcfs_access.
 * -EACCES: the caller may not.
 * -ENOENT: the object is gone.
 * -ENOMEM.
 */
int ipcfs_permission_check(const struct ipcfs_permission_target *target, unsigned want,
			   struct ipcfs_caller *caller, int (*load)(struct ipcfs_caller *caller),
			   enum ipcfs_reason *reason);

/*
 * Checks an object that the class has just told of as `info`, loading the caller where that decides.
 * Errors as of ipcfs_permission_check.
 */
int ipcfs_permission_check_found(const struct ipcfs_space *space, const struct ipcfs_class *class,
				 const struct ipcfs_info *info, unsigned want,
				 struct ipcfs_caller *caller);

/*
 * Returns the object's list in *acl. Its count is 0 if the object has none. Free it with
 * ipcfs_acl_free.
 * -ENOENT: the object is gone.
 * -ENOMEM.
 */
int ipcfs_permission_acl(const struct ipcfs_permission_target *target, struct ipcfs_acl *acl);

/* Returns the nine mode bits that stat(2) shows. The group's bits are the mask of a list. */
mode_t ipcfs_permission_mode(const struct ipcfs_space *space, const struct ipcfs_class *class,
			     const struct ipcfs_info *info);

/*
 * Sets the object's list, and its mode with it. A list that is not extended removes the
 * object's list. The kernel judges the caller, which must be loaded, as for a change of the mode.
 * After an error list and mode are as before.
 * -EPERM: the caller may not change the mode.
 * -EBUSY: another daemon keeps the lists of this namespace.
 * -ENOSPC: the list can't be stored.
 * -ENOENT: the object is gone.
 * -ENOMEM, and the errors of class->set_acl.
 */
int ipcfs_permission_set_acl(struct ipcfs_object *object, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller);

/* Drops the list of an object that was removed. */
void ipcfs_permission_removed(const struct ipcfs_space *space, const struct ipcfs_class *class,
			      const struct ipcfs_ref *ref);

/*
 * Changes owner, group or mode of an object as class->change does, and brings its list into
 * line. The kernel judges the caller, which must be loaded. The errors of class->change and of
 * storing a list.
 */
int ipcfs_permission_change(struct ipcfs_object *object, const struct ipcfs_change *change,
			    const struct ipcfs_caller *caller);

/*
 * Checks that the caller may make and remove objects of a class that has `makers`. Of other classes
 * the kernel judges.
 * -EACCES: it may not.
 * -ENOMEM.
 */
int ipcfs_permission_makers(const struct ipcfs_class *class, struct ipcfs_caller *caller);

#endif
