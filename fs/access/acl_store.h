/* SPDX-License-Identifier: MIT */
/*
 * The access control lists of objects for which the kernel keeps none: queues, System V segments
 * and semaphore sets. There is one store for each IPC namespace, in memory and, if possible, in a
 * private directory from which it is read again after a restart. A list is tied to properties of
 * its object that never change (docs/security.md), and is dropped with the object.
 */
#ifndef IPCFS_ACL_STORE_H
#define IPCFS_ACL_STORE_H

#include "fs/access/acl_record.h"

struct ipcfs_acl_store;

/*
 * Creates the store of an IPC namespace. `directory` has the directories of all stores; NULL: the
 * usual one. If it can't be used, that is logged, and lists are kept in memory only. If another
 * daemon uses this namespace's directory, no lists can be set. -ENOMEM.
 */
int ipcfs_acl_store_create(const struct ipcfs_space *space, const char *directory,
			   struct ipcfs_acl_store **store);

/*
 * Starts to notice removed objects, and the end of another daemon that uses the namespace's
 * directory, by a thread. The thread is made when there is a list or another daemon. A negative
 * errno: there is no thread. stop ends the thread.
 */
int ipcfs_acl_store_start(struct ipcfs_acl_store *store);
void ipcfs_acl_store_stop(struct ipcfs_acl_store *store);

/*
 * Drops all lists, their records and the directory, and stops the thread, because the namespace
 * ends: another one may get its number. Lists that are set later are kept in memory only.
 */
void ipcfs_acl_store_end(struct ipcfs_acl_store *store);
void ipcfs_acl_store_destroy(struct ipcfs_acl_store *store);

/*
 * Returns the list of an object whose permissions are `perm` now. acl->count is 0 if it has none,
 * also if the list was set on an earlier object with the same ref. USER_OBJ and OTHER follow
 * perm->mode, and so does GROUP_OBJ if the mode's group bits were changed since the list was set.
 * Costs one atomic load while no object has a list. Free with ipcfs_acl_free. -ENOMEM.
 */
int ipcfs_acl_store_get(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			struct ipcfs_acl *acl);

/*
 * Checks that lists can be set, and takes over the directory if the daemon that used it has ended.
 *   -EBUSY: another daemon uses it.
 *   -ENOMEM
 */
int ipcfs_acl_store_claim(struct ipcfs_acl_store *store);

/*
 * Sets the object's list; one that is not extended removes it. Get `info` after the mode was
 * changed to ipcfs_acl_plain_mode(acl). After an error nothing is changed. A list that grants
 * nothing that the old one does not is kept in memory if it can't be written, and the old record is
 * removed; not if the mode alone would grant more than the list, as it does after a restart.
 *   -EBUSY: another daemon uses the namespace's directory.
 *   -ENOSPC: too many lists or entries, in all or of the object's owner, or more than
 *   IPCFS_ACL_RECORD_ENTRIES entries in a list, or the disk is full.
 *   -EIO: the record can't be written or removed.
 *   -ENOMEM, -EAGAIN: memory or threads ran out.
 */
int ipcfs_acl_store_set(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			const struct ipcfs_info *info, const struct ipcfs_acl *acl);

/* Drops the list of an object that was removed. */
void ipcfs_acl_store_removed(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			     const struct ipcfs_ref *ref);

#endif
