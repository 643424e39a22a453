/* SPDX-License-Identifier: MIT */
#include "fs/control/make.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/contract/limits.h"
#include "backends/contract/long_work.h"
#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/request/audit_event.h"
#include "fs/request/judge.h"
#include "fs/request/tell.h"
#include "fs/tree/permission.h"

#define LOOK_EVERY 1024 /* objects, between two looks whether the maker is gone: a few ms */
#define LONG_COUNT 2048 /* to count among more objects is long work: a few ms and more */

/* Counts the objects of a uid. */
struct count {
	fuse_req_t req; /* of the maker */
	const struct ipcfs_class *class;
	uid_t uid;
	unsigned objects; /* of the uid so far */
	unsigned limit;	  /* the uid may have */
	unsigned passed;  /* all that were looked at */
};

/* Counts the object if the uid made it (System V) or owns it (POSIX). For ipcfs_walk_all. */
static int count_object(void *arg, const struct ipcfs_info *info)
{
	struct count *count = arg;
	bool sysv = count->class->rule == IPCFS_RULE_SYSV;

	if (++count->passed % LOOK_EVERY == 0 && fuse_req_interrupted(count->req) &&
	    ipcfs_caller_ends(fuse_req_ctx(count->req)->pid))
		return -EINTR;
	if ((sysv ? info->perm.cuid : info->perm.uid) != count->uid)
		return 0;
	return ++count->objects > count->limit ? -ENOSPC : 0;
}

/* Returns a number that is not less than that of all objects of the view, of whatever uid. */
static uint64_t at_most(const struct ipcfs_view *view)
{
	uint64_t sum = 0;

	for (size_t i = 0; ipcfs_classes[i]; i++) {
		const struct ipcfs_class *class = ipcfs_classes[i];
		uint64_t more = class->space ? 0 : class->at_most(ipcfs_view_space(view, class));

		sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
	}
	return sum;
}

/*
 * Checks that the uid may have `making` more objects. An object that another thread has just made
 * is counted as made and in `making`, so the limit may be reached too early, but is never passed.
 * Walks over the objects only where all together are more than the uid may have. Objects that are
 * not of the view, as the queues of a broker, are not counted.
 * -ENOSPC: the uid would have more than `max` objects in this view.
 * -EINTR: the maker was killed.
 * -ERESTART: it takes long (long_work.h).
 */
static int check_objects(fuse_req_t req, const struct ipcfs_view *view, uid_t uid, unsigned making,
			 unsigned max)
{
	struct count count = { .req = req, .uid = uid, .limit = max - making };
	uint64_t all;
	int err = 0;

	if (making > max)
		return -ENOSPC;
	all = at_most(view);
	if (all <= count.limit)
		return 0;
	if (all > LONG_COUNT)
		err = ipcfs_long_work();
	for (size_t i = 0; !err && ipcfs_classes[i]; i++) {
		count.class = ipcfs_classes[i];
		if (count.class->space)
			continue;
		err = ipcfs_walk_all(count.class, ipcfs_view_space(view, count.class), count_object,
				     &count);
	}
	return err;
}

/* Makes the object, unless max_objects is reached. *limit: the name of the limit reached. */
static int make_within_quota(fuse_req_t req, const struct ipcfs_view *view,
			     const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			     struct ipcfs_info *info, const char **limit)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_space *space = ipcfs_view_space(view, spec->class);
	unsigned max, act;
	bool begun;
	int making = ipcfs_quota_make(fs->quota, caller->uid, &max), err = 0;

	if (making < 0)
		return making;
	if (making > 0) {
		err = check_objects(req, view, caller->uid, (unsigned)making, max);
		if (err == -ENOSPC)
			*limit = "max_objects";
	}
	act = ipcfs_events_begin_act(&fs->events);
	begun = ipcfs_effects_act();
	if (!err)
		err = spec->class->make(space, spec, caller, info, limit);
	if (err)
		ipcfs_effects_set(begun);
	else
		ipcfs_tell_name(req, space, spec->class, info, IPCFS_EVENT_CREATED);
	ipcfs_events_end_act(&fs->events, act);
	if (making > 0)
		ipcfs_quota_made(fs->quota, caller->uid);
	return err;
}

/* Sets the reason for an error. `limit` is the one that was reached, or NULL. */
static void set_reason(struct ipcfs_refusal *reason, const struct ipcfs_spec *spec, int err,
		       const char *limit)
{
	const struct ipcfs_limit *file = ipcfs_limits;
	struct ipcfs_text path = { 0 }, value = { 0 };

	/* without memory the line is shorter */
	(void)ipcfs_text_printf(&path, "%s/%s/%s", spec->class->family, spec->class->name,
				spec->name);
	while (limit && file->name && strcmp(file->name, limit) != 0)
		file++;
	if (!limit)
		ipcfs_refusal_set(reason, path.data, path.size, "%s",
				  err == -ERANGE ? "a value is beyond what the kernel takes"
						 : strerror(-err));
	else if (file->name && !ipcfs_limit_read(file, &value) && value.size)
		ipcfs_refusal_set(reason, path.data, path.size,
				  "more than limits/%s allows, which is %.*s", limit,
				  (int)value.size - 1, value.data);
	else
		ipcfs_refusal_set(reason, path.data, path.size, "more than %s allows", limit);
	ipcfs_text_free(&path);
	ipcfs_text_free(&value);
}

/* Tells the audit what has become of a make, and sets or logs the reason of an error. */
static void report(fuse_req_t req, const struct ipcfs_spec *spec, const char *name, int err,
		   const char *limit, struct ipcfs_refusal *reason)
{
	struct ipcfs_refusal logged;
	char detail[16];

	if (err && (reason || limit))
		set_reason(reason ? reason : &logged, spec, err, limit);
	if (err && limit && !reason)
		ipcfs_refusal_log(fuse_req_ctx(req)->uid, &logged);
	snprintf(detail, sizeof(detail), "mode=%04o", spec->mode);
	ipcfs_audit_event_name(req, IPCFS_AUDIT_MAKE, spec->class, name, detail, err);
}

int ipcfs_make(fuse_req_t req, const struct ipcfs_view *view, const struct ipcfs_spec *spec,
	       struct ipcfs_info *info, struct ipcfs_refusal *reason)
{
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	const char *limit = NULL;
	int err;

	err = ipcfs_caller_load(&caller);
	if (!err)
		err = ipcfs_permission_makers(spec->class, &caller);
	if (!err)
		err = make_within_quota(req, view, spec, &caller, info, &limit);
	ipcfs_caller_free(&caller);
	if (err != -ERESTART) /* the request comes again */
		report(req, spec, err ? spec->name : info->ref.name, err, limit, reason);
	return err;
}

mode_t ipcfs_make_mode(mode_t mode, mode_t umask)
{
	if ((mode & 0777) == 0777 && (umask & 0777) != 0)
		return 0600;
	return mode & ~umask & 0666;
}
