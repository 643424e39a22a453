/* SPDX-License-Identifier: MIT */
#include "fs/tree/permission.h"

#include <errno.h>
#include <syslog.h>

#include "backends/contract/fault.h"
#include "fs/access/acl_store.h"
#include "fs/access/caller.h"
#include "fs/base/log.h"

/* Does the daemon keep the lists of this class? Otherwise the kernel does. */
static bool is_stored(const struct ipcfs_class *class)
{
	return !class->acl;
}

int ipcfs_permission_acl(const struct ipcfs_permission_target *target, struct ipcfs_acl *acl)
{
	if (is_stored(target->class))
		return ipcfs_acl_store_get(ipcfs_registry_acls(target->space), target->class,
					   target->ref, target->perm, acl);
	return target->class->acl(target->space, target->ref, acl);
}

/* Returns the object's list, by its handle if there is one. */
static int list_for_check(const struct ipcfs_permission_target *target, struct ipcfs_acl *acl)
{
	if (target->handle >= 0 && target->class->acl_of)
		return target->class->acl_of(target->handle, acl);
	return ipcfs_permission_acl(target, acl);
}

/*
 * Returns `want`, with the right to read for a writer of a System V segment: shmat(2) attaches for
 * reading, or for reading and writing.
 */
static unsigned needed(const struct ipcfs_class *class, unsigned want)
{
	bool both = class->segment && class->rule == IPCFS_RULE_SYSV && want & IPCFS_WANT_WRITE;

	return both ? want | IPCFS_WANT_READ : want;
}

int ipcfs_permission_check(const struct ipcfs_permission_target *target, unsigned want,
			   struct ipcfs_caller *caller, int (*load)(struct ipcfs_caller *caller),
			   enum ipcfs_reason *reason)
{
	struct ipcfs_acl acl = { 0 };
	const struct ipcfs_question question = {
		.rule = target->class->rule,
		.perm = target->perm,
		.acl = &acl,
		.want = needed(target->class, want),
		.authority = ipcfs_space_authority(target->space),
	};
	int err = 0;

	*reason = IPCFS_BY_NOTHING;
	if (!ipcfs_access_is_owner(question.rule, target->perm, caller))
		err = list_for_check(target, &acl);
	if (!err)
		err = ipcfs_access(&question, caller, load, reason);
	ipcfs_acl_free(&acl);
	return err;
}

int ipcfs_permission_makers(const struct ipcfs_class *class, struct ipcfs_caller *caller)
{
	const struct ipcfs_perm *makers = class->makers;
	const struct ipcfs_question question = {
		.rule = IPCFS_RULE_FILE,
		.perm = makers,
		.want = IPCFS_WANT_WRITE,
	};
	enum ipcfs_reason reason;

	return makers ? ipcfs_access(&question, caller, ipcfs_caller_load, &reason) : 0;
}

int ipcfs_permission_check_found(const struct ipcfs_space *space, const struct ipcfs_class *class,
				 const struct ipcfs_info *info, unsigned want,
				 struct ipcfs_caller *caller)
{
	const struct ipcfs_permission_target target = {
		.space = space,
		.class = class,
		.ref = &info->ref,
		.perm = &info->perm,
		.handle = -1,
	};
	enum ipcfs_reason reason;

	return ipcfs_permission_check(&target, want, caller, ipcfs_caller_load, &reason);
}

mode_t ipcfs_permission_mode(const struct ipcfs_space *space, const struct ipcfs_class *class,
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

/*
 * Sets the fields of `mask` back after a list could not be stored. The caller was just allowed to
 * change them.
 */
static void restore(const struct ipcfs_object *object, unsigned mask,
		    const struct ipcfs_perm *before, const struct ipcfs_caller *caller)
{
	const struct ipcfs_change change = {
		.mask = mask,
		.mode = before->mode,
		.uid = before->uid,
		.gid = before->gid,
	};

	if (object->class->change(object->space, &object->ref, &change, caller))
		ipcfs_log(LOG_WARNING, "%s/%s/%s: owner, group and mode could not be restored",
			  object->class->family, object->class->name, object->ref.name);
}

/*
 * Makes a change, then stores the list. The change comes first because the kernel judges the
 * caller by it. If the list can't be stored, the change is undone.
 */
static int change_stored(const struct ipcfs_object *object, const struct ipcfs_acl *acl,
			 const struct ipcfs_change *change, const struct ipcfs_caller *caller)
{
	const struct ipcfs_class *class = object->class;
	struct ipcfs_info before, info;
	int err = class->stat_brief(object->space, &object->ref, &before);

	if (!err)
		err = class->change(object->space, &object->ref, change, caller);
	if (err)
		return err;
	err = ipcfs_fault("permission.changed");
	if (!err)
		err = class->stat_brief(object->space, &object->ref, &info);
	if (!err)
		err = ipcfs_acl_store_set(ipcfs_registry_acls(object->space), class, &info, acl);
	if (err && err != -ENOENT)
		restore(object, change->mask, &before.perm, caller);
	return err;
}

void ipcfs_permission_removed(const struct ipcfs_space *space, const struct ipcfs_class *class,
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
	/* a list that is not extended is just a mode, which needs no store */
	if (err == -EBUSY && !ipcfs_acl_is_extended(acl))
		return object->class->change(object->space, &object->ref, &change, caller);
	return err ? err : change_stored(object, acl, &change, caller);
}

int ipcfs_permission_change(struct ipcfs_object *object, const struct ipcfs_change *change,
			    const struct ipcfs_caller *caller)
{
	const struct ipcfs_class *class = object->class;
	struct ipcfs_change plain = *change;
	IPCFS_ACL_AUTO acl = { 0 };
	struct ipcfs_info info;
	int err = 0;

	if (is_stored(class)) {
		err = class->stat_brief(object->space, &object->ref, &info);
		if (!err)
			err = ipcfs_acl_store_get(ipcfs_registry_acls(object->space), class,
						  &object->ref, &info.perm, &acl);
	}
	if (err)
		return err;
	if (!acl.count)
		return class->change(object->space, &object->ref, change, caller);
	/* stored after any change: the record has the object's ctime, which the change sets */
	if (change->mask & IPCFS_CHANGE_MODE) {
		ipcfs_acl_chmod(&acl, change->mode);
		plain.mode = ipcfs_acl_plain_mode(&acl);
	}
	return change_stored(object, &acl, &plain, caller);
}
