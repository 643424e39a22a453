/* SPDX-License-Identifier: MIT */
#include "fs/request/tell.h"

#include <stdio.h>

void ipcfs_tell(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
		enum ipcfs_event_kind kind, const struct ipcfs_actor *actor, const char *detail)
{
	struct ipcfs_event event = {
		.kind = kind,
		.class = object->class,
		.actor = *actor,
	};
	struct ipcfs_info info = { 0 };

	if (!ipcfs_events_wanted(&fs->events))
		return;
	event.ref = object->ref;
	/* of an object that is gone root alone is told, and of one that a broker would be asked for */
	event.perm.uid = event.perm.cuid = (uid_t)-1;
	if (!object->class->space && !object->class->stat_brief(object->space, &object->ref, &info))
		event.perm = info.perm;
	snprintf(event.detail, sizeof(event.detail), "%s", detail ? detail : "");
	ipcfs_events_tell(&fs->events, object->space, &event);
}

void ipcfs_tell_name(fuse_req_t req, const struct ipcfs_space *space,
		     const struct ipcfs_class *class, const struct ipcfs_info *info,
		     enum ipcfs_event_kind kind)
{
	struct ipcfs_event event = {
		.kind = kind,
		.class = class,
		.ref = info->ref,
		.perm = info->perm,
		.actor = ipcfs_actor_of(req),
	};

	ipcfs_events_tell(&ipcfs_of(req)->events, space, &event);
}
