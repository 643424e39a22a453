/* SPDX-License-Identifier: MIT */
#include "fs/events/known_record.h"

/* Tells that the name's object was removed. */
static void remove_object(struct ipcfs_known *known, struct ipcfs_known_object *object,
			  const struct ipcfs_finding *finding)
{
	if (object->hinted)
		ipcfs_known_tell(object, IPCFS_EVENT_CHANGED, "", finding);
	ipcfs_known_tell(object, IPCFS_EVENT_REMOVED, "", finding);
	ipcfs_known_retire(known, object);
}

/* Tells that a direct caller has made the object that has the name now. */
static void make_object(struct ipcfs_known *known, const struct ipcfs_class *class,
			const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	struct ipcfs_known_object *object = ipcfs_known_find(known, class, &info->ref);

	if (object)
		ipcfs_known_revive(known, object);
	else
		object = ipcfs_known_add(known, class, info);
	if (object) /* else the look counts it */
		ipcfs_known_tell(object, IPCFS_EVENT_CREATED, "", finding);
}

static void take_made(struct ipcfs_known *known, const struct ipcfs_trail_record *record,
		      const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	struct ipcfs_known_name *name = ipcfs_known_name_add(known, record->class, record->name);

	if (!name) {
		known->untold++;
		return;
	}
	if (name->owed_made) {
		name->owed_made--;
		return;
	}
	if (name->object) {
		if (!info || ipcfs_known_find(known, record->class, &info->ref) == name->object)
			return;				     /* a look has told of it */
		remove_object(known, name->object, finding); /* a rename(2) has replaced it */
	}
	name->touched = known->look;
	name->passing = !info;
	name->changed = false;
	if (info)
		make_object(known, record->class, info, finding);
}

static void take_removed(struct ipcfs_known *known, const struct ipcfs_trail_record *record,
			 const struct ipcfs_finding *finding)
{
	struct ipcfs_known_name *name = ipcfs_known_name(known, record->class, record->name);

	if (!name)
		return;
	if (name->owed_removed) {
		name->owed_removed--;
		return;
	}
	if (name->object)
		remove_object(known, name->object, finding);
	if (record->step)
		name->passing = false;
	ipcfs_known_name_pass(name, finding);
}

/* Notes a change, which is told with the removal; a look tells of it if the object stays. */
static void take_changed(struct ipcfs_known *known, const struct ipcfs_trail_record *record)
{
	struct ipcfs_known_name *name = ipcfs_known_name(known, record->class, record->name);

	if (name && name->passing)
		name->changed = true;
	else if (name && name->object && name->object->touched != known->look)
		name->object->hinted = !name->object->touched;
}

void ipcfs_known_record(struct ipcfs_known *known, const struct ipcfs_trail_record *record,
			const struct ipcfs_info *info, const struct ipcfs_finding *finding)
{
	switch (record->kind) {
	case IPCFS_TRAIL_MADE:
		take_made(known, record, info, finding);
		break;
	case IPCFS_TRAIL_REMOVED:
		take_removed(known, record, finding);
		break;
	default:
		take_changed(known, record);
	}
}

void ipcfs_known_overtaken(struct ipcfs_known *known)
{
	struct ipcfs_known_name *name, *next;

	HASH_ITER (hh, known->names, name, next) {
		name->owed_made = name->owed_removed = 0;
		name->passing = name->changed = false;
	}
}
