/* SPDX-License-Identifier: MIT */
/*
 * The targets of records: syslog, the journal, the Linux audit, or a file. Used by one thread at a
 * time. No call takes longer than its timeout, except while the disk is slow, and except that
 * libaudit waits a limited time for the kernel's answer.
 */
#ifndef IPCFS_AUDIT_SINK_H
#define IPCFS_AUDIT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum ipcfs_audit_severity { IPCFS_AUDIT_ALLOWED, IPCFS_AUDIT_REFUSED, IPCFS_AUDIT_SUPPRESSED };

struct ipcfs_audit_sink {
	const struct ipcfs_audit_sink_ops *ops;
	int fd;		  /* -1: not open at the moment */
	int directory;	  /* a file's; open, so that it is the same after a mount over it */
	const char *file; /* the file's name in there; points into the target */
	bool torn;	  /* the last record was written only in part */
};

/*
 * Checks that a target is "syslog", "journal", "audit" or an absolute path.
 *   -EINVAL: it is not.
 *   -EOPNOTSUPP: it is "audit", and ipcfs was built without libaudit.
 */
int ipcfs_audit_sink_check(const char *target);

/*
 * Opens a target that was checked. The string must outlive the sink. A missing file is made with
 * mode 0600. Syslog, journal and audit are reached with the first record, so they may start later.
 * Close with ipcfs_audit_sink_close.
 *   -EINVAL: neither a regular file, nor a FIFO, nor a character device.
 *   -ELOOP: a symbolic link.
 *   -ENAMETOOLONG: the directory's path is too long.
 *   Other errors of open(2).
 */
int ipcfs_audit_sink_open(struct ipcfs_audit_sink *sink, const char *target);
void ipcfs_audit_sink_close(struct ipcfs_audit_sink *sink);

/* Closes a file that was renamed or removed, so that the next record opens it again. */
void ipcfs_audit_sink_renew(struct ipcfs_audit_sink *sink);

/*
 * Writes one record, which has no newline. record[size] may be overwritten. After any error the
 * record is lost, or was written only in part.
 *   -EAGAIN: the target did not take it within `timeout_ms`.
 *   -ENOSPC: the disk is full.
 *   Other errors of opening or writing the target.
 */
int ipcfs_audit_sink_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
			 enum ipcfs_audit_severity severity, int timeout_ms);

#endif
