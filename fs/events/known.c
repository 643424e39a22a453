/* SPDX-License-Identifier: MIT */
#include "fs/events/known.h"

#include <errno.h>

void ipcfs_known_begin(struct ipcfs_known *known)
{
	known->look++;
	known->left_last = known->left_out;
	known->left_out = known->untold = 0;
	known->refused = false;
	if (!known->behind)
		ipcfs_known_names_expire(known);
}

void ipcfs_known_end(struct ipcfs_known *known)
{
	known->filled = true;
}

static bool is_full(const struct ipcfs_info *info)
{
	/* a limit of 0 is one that the daemon could not read */
	return (info->max_messages && info->messages >= info->max_messages) ||
	       (info->max_bytes && info->size >= info->max_bytes);
}

/* Returns a word for what has changed. NULL: nothing has. */
static const char *difference(const struct ipcfs_known_object *object,
			      const struct ipcfs_class *class, const struct ipcfs_info *info)
{
	if (object->perm.uid != info->perm.uid || object->perm.gid != info->perm.gid)
		return "owner";
	if (object->perm.mode != info->perm.mode)
		return "mode";
	if (object->fresh)
		return NULL;
	if (class->queue && object->max_bytes != info->max_bytes)
		return "qbytes";
	return class->segment && object->size != info->size ? "size" : NULL;
}

/* Tells where a queue became full or empty, or a segment stale. */
static void see_state(const struct ipcfs_known_object *object, const struct ipcfs_class *class,
		      const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	if (class->queue && is_full(info) && !object->full)
		finding->found(finding->arg, IPCFS_EVENT_FULL, class, info, "");
	if (class->queue && !info->messages && !object->empty)
		finding->found(finding->arg, IPCFS_EVENT_EMPTY, class, info, "");
	if (info->stale && !object->stale)
		finding->found(finding->arg, IPCFS_EVENT_STALE, class, info, "");
}

/* Notes the state. */
static void note(struct ipcfs_known_object *object, const struct ipcfs_class *class,
		 const struct ipcfs_info *info)
{
	object->perm = info->perm;
	object->max_bytes = info->max_bytes;
	object->size = info->size;
	object->full = class->queue && is_full(info);
	object->empty = class->queue && !info->messages;
	object->stale = info->stale;
	object->fresh = object->hinted = false;
}

/*
 * Notes that the look has seen an object that is not known. Returns whether it is to be added, as the
 * trail has not told of it: it was seen by the look before, too, or there is no trail.
 * -ENOMEM.
 */
static int is_missed(struct ipcfs_known *known, const struct ipcfs_class *class,
		     const struct ipcfs_info *info)
{
	struct ipcfs_known_name *name;
	bool again;

	if (!ipcfs_known_has_trail(known, class) || ipcfs_known_is_first(known))
		return 1;
	name = ipcfs_known_name_add(known, class, info->ref.name);
	if (!name)
		return -ENOMEM;
	again = name->unsure && name->unsure + 1 == known->look;
	name->unsure = known->look;
	return again && !known->behind;
}

/* Adds an object that was not known. The sweep tells of it: a namesake's removal comes first. */
static void see_new(struct ipcfs_known *known, const struct ipcfs_class *class,
		    const struct ipcfs_info *info)
{
	int missed = is_missed(known, class, info);
	struct ipcfs_known_object *object;

	if (!missed)
		return;
	object = missed > 0 ? ipcfs_known_add(known, class, info) : NULL;
	if (!object) {
		known->left_out++;
		return;
	}
	object->untold = !ipcfs_known_is_first(known);
	note(object, class, info);
}

/* Looks at an object whose removal is told. It may be seen as it was before. */
static void see_gone(struct ipcfs_known *known, struct ipcfs_known_object *object)
{
	if (object->touched + IPCFS_KNOWN_KEPT >= known->look)
		return;
	ipcfs_known_revive(known, object);
	object->untold = !object->gone;
}

void ipcfs_known_see(struct ipcfs_known *known, const struct ipcfs_class *class,
		     const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object = ipcfs_known_find(known, class, &info->ref);
	const char *changed;

	if (info->removed)
		return; /* a segment without a name, until its last user has gone */
	if (!object) {
		see_new(known, class, info);
		return;
	}
	if (object->gone) {
		see_gone(known, object);
		return;
	}
	object->seen = known->look;
	if (object->touched == known->look)
		return;
	changed = object->touched ? NULL : difference(object, class, info);
	object->touched = 0;
	if (changed)
		finding->found(finding->arg, IPCFS_EVENT_CHANGED, class, info, changed);
	if (!object->fresh)
		see_state(object, class, info, finding);
	note(object, class, info);
}

/* Returns whether the look tells that an object was removed, or forgets it. */
static bool is_missing(const struct ipcfs_known *known, const struct ipcfs_known_object *object)
{
	bool has_trail = ipcfs_known_has_trail(known, object->id.class);

	if (object->gone)
		return object->touched + IPCFS_KNOWN_KEPT < known->look;
	if (has_trail && known->behind)
		return false;
	return object->seen + has_trail < known->look && object->touched != known->look;
}

void ipcfs_known_sweep(struct ipcfs_known *known, const struct ipcfs_class *class,
		       const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object, *next;

	HASH_ITER (hh, known->objects, object, next) {
		if (object->id.class != class || !is_missing(known, object))
			continue;
		if (object->gone || object->untold) {
			ipcfs_known_drop(known, object);
			continue;
		}
		ipcfs_known_tell(object, IPCFS_EVENT_REMOVED, "", finding);
		ipcfs_known_retire(known, object);
	}
	HASH_ITER (hh, known->objects, object, next) {
		if (object->untold && object->id.class == class && !object->gone)
			ipcfs_known_tell(object, IPCFS_EVENT_CREATED, "", finding);
		if (object->id.class == class)
			object->untold = false;
	}
}

/*
 * Tells that a direct caller has removed the object that had a name, as the name was free or another
 * object's. Its record is still to come.
 */
static void tell_removed_before(struct ipcfs_known *known, struct ipcfs_known_name *name,
				const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object = name->object;

	if (!object) {
		name->owed_removed += ipcfs_known_name_pass(name, finding);
		return;
	}
	ipcfs_known_tell(object, IPCFS_EVENT_REMOVED, "", finding);
	ipcfs_known_retire(known, object);
	name->owed_removed++;
}

/*
 * Tells that a direct caller has made the object that the mount has removed. Its record is still to
 * come, unless it has come while there was no object.
 */
static void tell_created_before(struct ipcfs_known_name *name, const struct ipcfs_class *class,
				const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	finding->found(finding->arg, IPCFS_EVENT_CREATED, class, info, "");
	if (!name)
		return;
	if (!name->passing)
		name->owed_made++;
	name->passing = false;
}

/* Returns the name of an object that the mount acts on. NULL: there is no trail, or no memory. */
static struct ipcfs_known_name *name_acted_on(struct ipcfs_known *known,
					      const struct ipcfs_class *class,
					      const struct ipcfs_info *info)
{
	struct ipcfs_known_name *name = NULL;

	if (ipcfs_known_has_trail(known, class))
		name = ipcfs_known_name_add(known, class, info->ref.name);
	if (name)
		name->touched = known->look;
	return name;
}

bool ipcfs_known_created(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object = ipcfs_known_find(known, class, &info->ref);
	struct ipcfs_known_name *name;

	if (object && object->gone)
		return false; /* it was removed before its maker could tell */
	if (object && !object->untold)
		return ipcfs_known_is_first(known);
	name = name_acted_on(known, class, info);
	if (name && (name->object != object || name->passing))
		tell_removed_before(known, name, finding);
	if (!object)
		object = ipcfs_known_add(known, class, info);
	if (object) {
		object->touched = known->look;
		object->untold = false;
	}
	if (name)
		name->owed_made++;
	return true;
}

bool ipcfs_known_removed(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object = ipcfs_known_find(known, class, &info->ref);
	bool unknown = !object && !ipcfs_known_is_first(known) && !known->left_out &&
		       !known->left_last;
	struct ipcfs_known_name *name;

	if (object && object->gone)
		return false;
	name = name_acted_on(known, class, info);
	if (name && name->object != object)
		tell_removed_before(known, name, finding);
	if (unknown || (object && object->untold))
		tell_created_before(name, class, info, finding);
	if (unknown)
		object = ipcfs_known_add(known, class, info);
	if (object)
		ipcfs_known_retire(known, object);
	if (name)
		name->owed_removed++;
	return true;
}

void ipcfs_known_changed(struct ipcfs_known *known, const struct ipcfs_class *class,
			 const struct ipcfs_ref *ref)
{
	struct ipcfs_known_object *object = ipcfs_known_find(known, class, ref);

	if (object)
		object->touched = known->look;
}
