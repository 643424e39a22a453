/* SPDX-License-Identifier: MIT */
#include "make.h"

#include <errno.h>
#include <syslog.h>

#include "caller.h"
#include "log.h"
#include "ops.h"

int ipcfs_make(fuse_req_t req, const struct ipcfs_spec *spec, struct ipcfs_info *info)
{
	struct ipcfs_caller caller = ipcfs_op_caller(req);
	const char *limit = NULL;
	int err;

	err = ipcfs_caller_load(&caller);
	if (!err)
		err = spec->backend->make(ipcfs_of(req)->space, spec, &caller, info, &limit);
	if (err == -ENOSPC && limit)
		ipcfs_log(LOG_NOTICE, "uid %u can't make %s/%s/%s: limit %s is reached", caller.uid,
			  spec->backend->family, spec->backend->class_name, spec->name, limit);
	ipcfs_caller_free(&caller);
	return err;
}

mode_t ipcfs_make_mode(mode_t mode, mode_t umask)
{
	if ((mode & 0777) == 0777 && (umask & 0777) != 0)
		return 0600;
	return mode & ~umask & 0666;
}
