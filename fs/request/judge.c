/* SPDX-License-Identifier: MIT */
#include "fs/request/judge.h"

#include <errno.h>

#include "fs/access/caller.h"
#include "fs/request/audit_event.h"
#include "fs/tree/permission.h"

int ipcfs_judge(fuse_req_t req, const struct ipcfs_object *object, unsigned want,
		const char **reason)
{
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	enum ipcfs_reason by = IPCFS_BY_NOTHING;
	struct ipcfs_info info;
	int err;

	err = object->class->stat_brief(object->space, &object->ref, &info);
	if (!err) {
		const struct ipcfs_permission_target target = {
			.space = object->space,
			.class = object->class,
			.ref = &object->ref,
			.perm = &info.perm,
			.handle = -1,
		};

		err = ipcfs_permission_check(&target, want, &caller, ipcfs_caller_load, &by);
	}
	if (reason)
		*reason = ipcfs_reason_name(by);
	ipcfs_caller_free(&caller);
	return err == -ENOENT ? -ESTALE : err;
}

int ipcfs_judge_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
		     unsigned want)
{
	const char *reason;
	int err = ipcfs_judge(req, ipcfs_node_object(ipcfs_of(req), node), want, &reason);

	ipcfs_audit_event_node(req, op, node, want, err, reason);
	return err;
}
