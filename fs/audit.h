/* SPDX-License-Identifier: MIT */
/*
 * The audit: a record of each decision, as the level says. Whoever decides only puts the record into a
 * buffer; one thread writes it out.
 */
#ifndef IPCFS_AUDIT_H
#define IPCFS_AUDIT_H

#include "audit_record.h"

struct ipcfs_audit_queue;

/* A zeroed one is off. */
struct ipcfs_audit {
	enum ipcfs_audit_level level;
	struct ipcfs_audit_queue *queue; /* where the level is not off */
};

/*
 * Open the target (ipcfs_audit_sink_check has seen it, and it outlives the audit). -ENOMEM, or why a file
 * can't be opened. End with ipcfs_audit_destroy.
 */
int ipcfs_audit_create(struct ipcfs_audit *audit, const char *target, enum ipcfs_audit_level level);

/* Start the thread that writes. -EAGAIN, -ENOMEM. */
int ipcfs_audit_start(struct ipcfs_audit *audit);

/*
 * Write what is left, for 200 ms at most, and end. Nobody may put a record any more. A writer that
 * is stuck is left behind with what it uses.
 */
void ipcfs_audit_destroy(struct ipcfs_audit *audit);

/* Is it worth making an event of this? At the level `deny` that is one look, where the answer was yes. */
static inline bool ipcfs_audit_asks(const struct ipcfs_audit *audit, enum ipcfs_audit_op op,
				    int error)
{
	if (audit->level <= (error ? IPCFS_AUDIT_OFF : IPCFS_AUDIT_DENY))
		return false;
	return ipcfs_audit_wanted(audit->level, op, error);
}

/*
 * Record an event that was asked for. Never waits for the target: what there is no room for, and what is
 * more than one uid's share, is counted. /proc is read for the program's name. May be called with any lock
 * held but the audit's own.
 */
void ipcfs_audit(struct ipcfs_audit *audit, const struct ipcfs_audit_event *event);

#endif
