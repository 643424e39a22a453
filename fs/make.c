/* SPDX-License-Identifier: MIT */
#include "make.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "caller.h"
#include "decision.h"
#include "log.h"
#include "ops.h"

struct count {
	const struct ipcfs_backend *class;
	uid_t uid;
	unsigned objects;
};

/* Who made it, where that can be told; the owner elsewhere. */
static int count_object(void *arg, const struct ipcfs_info *info)
{
	struct count *count = arg;
	bool sysv = count->class->rule == IPCFS_RULE_SYSV;

	if ((sysv ? info->perm.cuid : info->perm.uid) == count->uid)
		count->objects++;
	return 0;
}

/* Is there room for `making` more? Those that were made meanwhile may be counted twice, never less. */
static int check_objects(const struct ipcfs_view *view, uid_t uid, unsigned making, unsigned max)
{
	struct count count = { .uid = uid };
	int err = 0;

	for (size_t i = 0; !err && ipcfs_backends[i]; i++) {
		count.class = ipcfs_backends[i];
		err = count.class->list(ipcfs_view_space(view, count.class), count_object, &count);
	}
	if (err)
		return err;
	return count.objects >= max || making > max - count.objects ? -ENOSPC : 0;
}

static int make_counted(const struct ipcfs_filesystem *fs, const struct ipcfs_view *view,
			const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			struct ipcfs_info *info, const char **limit)
{
	unsigned max;
	int making = ipcfs_account_make(fs->account, caller->uid, &max), err = 0;

	if (making < 0)
		return making;
	if (making > 0) {
		err = check_objects(view, caller->uid, (unsigned)making, max);
		if (err == -ENOSPC)
			*limit = "max_objects";
	}
	if (!err)
		err = spec->backend->make(ipcfs_view_space(view, spec->backend), spec, caller, info,
					  limit);
	if (making > 0)
		ipcfs_account_made(fs->account, caller->uid);
	return err;
}

int ipcfs_make(fuse_req_t req, const struct ipcfs_view *view, const struct ipcfs_spec *spec,
	       struct ipcfs_info *info)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	const char *limit = NULL;
	char detail[16];
	int err;

	err = ipcfs_caller_load(&caller);
	if (!err)
		err = make_counted(ipcfs_of(req), view, spec, &caller, info, &limit);
	if (err == -ENOSPC && limit)
		ipcfs_log(LOG_NOTICE, "uid %u can't make %s/%s/%s: limit %s is reached", caller.uid,
			  spec->backend->family, spec->backend->class_name, spec->name, limit);
	ipcfs_caller_free(&caller);
	snprintf(detail, sizeof(detail), "mode=%04o", spec->mode);
	ipcfs_decided_name(req, IPCFS_AUDIT_MAKE, spec->backend, err ? spec->name : info->ref.name,
			   detail, err);
	return err;
}

mode_t ipcfs_make_mode(mode_t mode, mode_t umask)
{
	if ((mode & 0777) == 0777 && (umask & 0777) != 0)
		return 0600;
	return mode & ~umask & 0666;
}
