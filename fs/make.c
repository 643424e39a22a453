/* SPDX-License-Identifier: MIT */
#include "make.h"

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "caller.h"
#include "decision.h"
#include "log.h"
#include "ops.h"

int ipcfs_make(fuse_req_t req, const struct ipcfs_spec *spec, struct ipcfs_info *info)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	const char *limit = NULL;
	char detail[16];
	int err;

	err = ipcfs_caller_load(&caller);
	if (!err)
		err = spec->backend->make(ipcfs_of(req)->space, spec, &caller, info, &limit);
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
