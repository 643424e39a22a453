/* SPDX-License-Identifier: MIT */
#include "permission.h"

#include <errno.h>
#include <syslog.h>

#include "acl_store.h"
#include "log.h"

static bool is_stored(const struct ipcfs_backend *class)
{
	return !class->acl;
}

int ipcfs_permission_acl(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			 const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			 struct ipcfs_acl *acl)
{
	if (is_stored(class))
		return ipcfs_acl_store_get(ipcfs_registry_acls(space), class, ref, perm, acl);
	return class->acl(space, ref, acl);
}

static int list_for_check(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			  const struct ipcfs_ref *ref, const struct ipcfs_perm *perm, int handle,
			  struct ipcfs_acl *acl)
{
	if (handle >= 0 && class->acl_of)
		return class->acl_of(handle, acl);
	return ipcfs_permission_acl(space, class, ref, perm, acl);
}

/*
 * Whoever writes to a System V segment has to read it, too: shmat(2) attaches for reading, or for both.
 */
static unsigned needed(const struct ipcfs_backend *class, unsigned want)
{
	bool both = class->segment && class->rule == IPCFS_RULE_SYSV && want & IPCFS_WANT_WRITE;

	return both ? want | IPCFS_WANT_READ : want;
}

int ipcfs_permission_check(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			   const struct ipcfs_ref *ref, const struct ipcfs_perm *perm, int handle,
			   unsigned want, struct ipcfs_caller *caller,
			   int (*load)(struct ipcfs_caller *caller), enum ipcfs_reason *reason)
{
	struct ipcfs_acl acl = { 0 };
	const struct ipcfs_question question = {
		.rule = class->rule,
		.perm = perm,
		.acl = &acl,
		.want = needed(class, want),
		.authority = ipcfs_space_authority(space),
	};
	int err = 0;

	*reason = IPCFS_BY_NOTHING;
	if (!ipcfs_access_is_owner(question.rule, perm, caller))
		err = list_for_check(space, class, ref, perm, handle, &acl);
	if (!err)
		err = ipcfs_access(&question, caller, load, reason);
	ipcfs_acl_free(&acl);
	return err;
}

mode_t ipcfs_permission_mode(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			     const struct ipcfs_info *info)
{
	IPCFS_ACL_AUTO acl = { 0 };

	if (is_stored(class) &&
	    !ipcfs_acl_store_get(ipcfs_registry_acls(space), class, &info->ref, &info->perm,
				 &acl) &&
	    acl.count)
		return ipcfs_acl_mode(&acl);
	return info->perm.mode;
}

/* Back to what it was; the owner could change it a moment ago. */
static void restore_mode(const struct ipcfs_object *object, mode_t mode,
			 const struct ipcfs_caller *caller)
{
	const struct ipcfs_change change = { .mask = IPCFS_CHANGE_MODE, .mode = mode };

	if (object->class->change(object->space, &object->ref, &change, caller))
		ipcfs_log(LOG_WARNING, "%s/%s/%s: the mode could not be restored",
			  object->class->family, object->class->class_name, object->ref.name);
}

/*
 * The mode first, since the kernel judges who may: a failure between the two leaves an object that
 * is narrower, or as open as before.
 */
static int change_stored(const struct ipcfs_object *object, const struct ipcfs_acl *acl,
			 const struct ipcfs_change *change, const struct ipcfs_caller *caller)
{
	const struct ipcfs_backend *class = object->class;
	struct ipcfs_info before, info;
	int err = class->glance(object->space, &object->ref, &before);

	if (!err)
		err = class->change(object->space, &object->ref, change, caller);
	if (err)
		return err;
	err = class->glance(object->space, &object->ref, &info);
	if (!err)
		err = ipcfs_acl_store_set(ipcfs_registry_acls(object->space), class, &info, acl);
	if (err && err != -ENOENT)
		restore_mode(object, before.perm.mode, caller);
	return err;
}

void ipcfs_permission_removed(const struct ipcfs_space *space, const struct ipcfs_backend *class,
			      const struct ipcfs_ref *ref)
{
	if (is_stored(class))
		ipcfs_acl_store_removed(ipcfs_registry_acls(space), class, ref);
}

int ipcfs_permission_set_acl(struct ipcfs_object *object, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller)
{
	const struct ipcfs_change change = {
		.mask = IPCFS_CHANGE_MODE,
		.mode = ipcfs_acl_plain_mode(acl),
	};
	int err;

	if (!is_stored(object->class))
		return object->class->set_acl(object->space, &object->ref, acl, caller);
	err = ipcfs_acl_store_claim(ipcfs_registry_acls(object->space));
	/* a mode can be set all the same, by whoever */
	if (err == -EBUSY && !ipcfs_acl_is_extended(acl))
		return object->class->change(object->space, &object->ref, &change, caller);
	return err ? err : change_stored(object, acl, &change, caller);
}

int ipcfs_permission_change(struct ipcfs_object *object, const struct ipcfs_change *change,
			    const struct ipcfs_caller *caller)
{
	const struct ipcfs_backend *class = object->class;
	struct ipcfs_change plain = *change;
	IPCFS_ACL_AUTO acl = { 0 };
	struct ipcfs_info info;
	int err = 0;

	if (is_stored(class)) {
		err = class->glance(object->space, &object->ref, &info);
		if (!err)
			err = ipcfs_permission_acl(object->space, class, &object->ref, &info.perm,
						   &acl);
	}
	if (err)
		return err;
	if (!acl.count)
		return class->change(object->space, &object->ref, change, caller);
	/* of any change the list takes note: it tells the object's own from another's */
	if (change->mask & IPCFS_CHANGE_MODE) {
		ipcfs_acl_chmod(&acl, change->mode);
		plain.mode = ipcfs_acl_plain_mode(&acl);
	}
	return change_stored(object, &acl, &plain, caller);
}
