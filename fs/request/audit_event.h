/* SPDX-License-Identifier: MIT */
/*
 * Reporting decisions to the audit. Each place that allows or refuses something calls one of
 * these functions, which count refusals, too. `err` is the answer: 0, or a negative errno. `reason`
 * is a static word for the rule that decided; NULL: none is reported.
 */
#ifndef IPCFS_AUDIT_EVENT_H
#define IPCFS_AUDIT_EVENT_H

#include "backends/contract/limits.h"
#include "fs/request/file.h"

/* The kernel decided, by the caller's own credentials. */
#define IPCFS_REASON_KERNEL "kernel"

/* Reports that a request, as it was read from /dev/fuse, was refused before it was handled. */
void ipcfs_audit_event_entry(struct ipcfs_filesystem *fs, const void *request, int err,
			     const char *reason);

/* Reports what the caller of the request wanted of a node: IPCFS_WANT_*, or'ed. */
void ipcfs_audit_event_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
			    unsigned want, int err, const char *reason);

/* Reports an open(2). file->reason is the reason. */
void ipcfs_audit_event_open(struct ipcfs_filesystem *fs, const struct ipcfs_file *file, int err);

/*
 * Reports the use of an open file by the thread `tid`, judged by the rights of the opener. Reports
 * each refusal, and the first permission after a refusal. Call without file->lock held.
 */
void ipcfs_audit_event_use(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			   enum ipcfs_direction direction, pid_t tid, int err, const char *reason);

/* Reports in the same way a use that is judged by the rights of the request's caller. */
void ipcfs_audit_event_use_by(fuse_req_t req, struct ipcfs_file *file,
			      enum ipcfs_direction direction, int err, const char *reason);

/*
 * Reports a change of a name in a class, made by the caller of the request and judged by the
 * kernel. `detail` is what was asked for; NULL: nothing.
 */
void ipcfs_audit_event_name(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_class *class,
			    const char *name, const char *detail, int err);

/*
 * Reports in the same way a change of an object: of its owner, group or mode (IPCFS_AUDIT_CHMOD,
 * IPCFS_AUDIT_CHOWN), or of its qbytes (IPCFS_AUDIT_CHANGE_BYTES).
 */
void ipcfs_audit_event_change(fuse_req_t req, enum ipcfs_audit_op op,
			      const struct ipcfs_object *object, const struct ipcfs_change *change,
			      int err);

/* Reports in the same way a write to a limit. `value` is recorded only if the write was allowed. */
void ipcfs_audit_event_limit(fuse_req_t req, const struct ipcfs_limit *limit, const char *value,
			     size_t size, int err);

#endif
