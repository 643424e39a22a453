/* SPDX-License-Identifier: MIT */
/*
 * Room fs/audit: records of decisions, and the targets to which they are written.
 * May be called by the rooms above it, from tree to daemon.
 * May call fs/access and fs/base.
 *
 * The audit: a record of each decision that the level includes. The deciding thread puts the record
 * into a buffer, and one thread writes it to the target.
 */
#ifndef IPCFS_AUDIT_H
#define IPCFS_AUDIT_H

#include "fs/audit/audit_record.h"

struct ipcfs_audit_queue;

/* All zeros: the audit is off. */
struct ipcfs_audit {
	enum ipcfs_audit_level level;
	struct ipcfs_audit_queue *queue; /* NULL: the audit is off */
};

/*
 * Opens the target, which ipcfs_audit_sink_check has accepted. The string `target` must outlive the
 * audit. End with ipcfs_audit_destroy.
 *   -ENOMEM
 *   Errors of ipcfs_audit_sink_open.
 */
int ipcfs_audit_create(struct ipcfs_audit *audit, const char *target, enum ipcfs_audit_level level);

/* Starts the thread that writes, if the audit is on. -EAGAIN, -ENOMEM: it can't be made. */
int ipcfs_audit_start(struct ipcfs_audit *audit);

/*
 * Writes the records that are left, for 200 ms at most. Call when no thread is to record events any
 * more: later ones are not written.
 */
void ipcfs_audit_finish(struct ipcfs_audit *audit);

/*
 * Writes the records that are left, for 200 ms at most, and ends the audit. Call when no thread
 * records events any more. A writing thread that does not end is detached, and keeps its memory.
 */
void ipcfs_audit_destroy(struct ipcfs_audit *audit);

/*
 * Tells whether the level includes an operation with this result. Takes one comparison if it was
 * allowed and the level is `deny`.
 */
static inline bool ipcfs_audit_asks(const struct ipcfs_audit *audit, enum ipcfs_audit_op op,
				    int error)
{
	if (audit->level <= (error ? IPCFS_AUDIT_OFF : IPCFS_AUDIT_DENY))
		return false;
	return ipcfs_audit_wanted(audit->level, op, error);
}

/*
 * Records an event for which ipcfs_audit_asks was true. Never waits for the target: a record that
 * finds the buffer full, or exceeds the uid's budget, is only counted. Reads /proc for the
 * program's name. May be called with any lock held except the audit's own.
 */
void ipcfs_audit(struct ipcfs_audit *audit, const struct ipcfs_audit_event *event);

#endif
