/* SPDX-License-Identifier: MIT */
/*
 * What was decided, for the audit: one of these is called wherever somebody may, or may not. `err` is the
 * answer, 0 or a negative errno. `reason` is by what it was decided, NULL where that says nothing more.
 */
#ifndef IPCFS_DECISION_H
#define IPCFS_DECISION_H

#include "open.h"

/* The kernel decided, asked with the caller's own credentials. */
#define IPCFS_DECIDED_BY_KERNEL "kernel"

/* This request was refused before it was looked at, as it was read from /dev/fuse. */
void ipcfs_decided_entry(struct ipcfs_filesystem *fs, const void *request, int err,
			 const char *reason);

/* The caller of the request and this node. */
void ipcfs_decided_node(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
			unsigned want, int err, const char *reason);

/* The opening of this file. */
void ipcfs_decided_open(struct ipcfs_filesystem *fs, const struct ipcfs_open *open, int err);

/*
 * The use of an open file, asked for by this thread, by what its opener may. Told are refusals, and the
 * first permission after one. Without open->lock.
 */
void ipcfs_decided_use(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		       enum ipcfs_direction direction, pid_t tid, int err, const char *reason);

/* The same for reading what the request's caller, and not the opener, is asked for. */
void ipcfs_decided_read(fuse_req_t req, struct ipcfs_open *open, int err, const char *reason);

/* The caller of the request and a change, which the kernel decided on: of a name in a class; */
void ipcfs_decided_name(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_backend *class,
			const char *name, const char *detail, int err);

/* of an object, by owner, group or mode (IPCFS_AUDIT_CHMOD, _CHOWN), or its qbytes (_CHANGE_BYTES); */
void ipcfs_decided_change(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_object *object,
			  const struct ipcfs_change *change, int err);

/* and of a limit, with what was written if that was allowed. */
void ipcfs_decided_limit(fuse_req_t req, const struct ipcfs_limit *limit, const char *value,
			 size_t size, int err);

#endif
