/* SPDX-License-Identifier: MIT */
/* Judging the caller of a request by the permissions of an object as they are now. */
#ifndef IPCFS_JUDGE_H
#define IPCFS_JUDGE_H

#include "fs/tree/state.h"

/* Returns the caller of the request. Its groups and capabilities are not loaded. */
static inline struct ipcfs_caller ipcfs_request_caller(fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct ipcfs_caller){ .uid = context->uid,
				      .gid = context->gid,
				      .tid = context->pid };
}

/*
 * Checks that the caller of the request may do `want` (IPCFS_WANT_*, or'ed) to the object.
 * Returns in *reason a static word for the rule that decided; `reason` may be NULL.
 * -EACCES: the caller may not.
 * -ESTALE: the object is gone.
 * -ENOMEM.
 */
int ipcfs_judge(fuse_req_t req, const struct ipcfs_object *object, unsigned want,
		const char **reason);

/* Checks the same for the object of a node, and reports the answer to the audit. */
int ipcfs_judge_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
		     unsigned want);

#endif
