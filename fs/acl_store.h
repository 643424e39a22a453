/* SPDX-License-Identifier: MIT */
/*
 * The access control lists of objects for which the kernel keeps none: queues, System V segments and
 * sets. One store for each IPC namespace, in memory and, where that can be had, in a private directory,
 * from which it is read again after a restart. A list belongs to what never changes of its object (see
 * docs/security.md), and goes with it.
 */
#ifndef IPCFS_ACL_STORE_H
#define IPCFS_ACL_STORE_H

#include "../backends/acl.h"
#include "../backends/backend.h"

struct ipcfs_acl_store;

/*
 * `directory`: where stores are kept, NULL for the usual place. What can't be used is logged, and then lists live in
 * memory only, or, where another daemon has this namespace's store, can't be set. -ENOMEM.
 */
int ipcfs_acl_store_create(const struct ipcfs_space *space, const char *directory,
			   struct ipcfs_acl_store **store);

/*
 * Objects that go are noticed from now on, by a thread that sleeps while there are no lists; and that
 * the daemon goes which has kept this namespace's. -errno.
 */
int ipcfs_acl_store_start(struct ipcfs_acl_store *store);
void ipcfs_acl_store_stop(struct ipcfs_acl_store *store);

/*
 * The namespace goes, and its number may be another's next: lists, files and the directory go first. Stops it, too. None
 * are kept from now on but in memory.
 */
void ipcfs_acl_store_end(struct ipcfs_acl_store *store);
void ipcfs_acl_store_destroy(struct ipcfs_acl_store *store);

/*
 * The list of this object, whose permissions are `perm` now; acl->count is 0 where it has none (also where it
 * is another object that has the ref of one that had). USER_OBJ and OTHER follow perm->mode, and so does
 * GROUP_OBJ where the group's bits are not what the list made them. One atomic load where no object has a list. Freed with ipcfs_acl_free. -ENOMEM.
 */
int ipcfs_acl_store_get(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			struct ipcfs_acl *acl);

/* May lists be set now? 0; -EBUSY: another daemon keeps those of this namespace. Tries to become the one. */
int ipcfs_acl_store_claim(struct ipcfs_acl_store *store);

/*
 * Set the object's list; one that is not extended forgets it. `info` is of now, after the mode was changed to
 * ipcfs_acl_plain_mode(acl). -EBUSY as above, -ENOSPC (too many lists, or entries: IPCFS_ACL_STORE_ENTRIES), -EIO, -ENOMEM:
 * all is as it was.
 */
int ipcfs_acl_store_set(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			const struct ipcfs_info *info, const struct ipcfs_acl *acl);

/* It was removed. */
void ipcfs_acl_store_removed(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			     const struct ipcfs_ref *ref);

#define IPCFS_ACL_STORE_ENTRIES 500 /* the kernel shows those that fit into 4096 bytes */

#endif
