/* SPDX-License-Identifier: MIT */
/*
 * Where records go. Used by one thread at a time; no call takes longer than its patience (with the
 * kernel's audit as long as libaudit waits for an answer, which is bounded), except where the disk does.
 */
#ifndef IPCFS_AUDIT_SINK_H
#define IPCFS_AUDIT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum ipcfs_audit_severity { IPCFS_AUDIT_ALLOWED, IPCFS_AUDIT_REFUSED, IPCFS_AUDIT_SUPPRESSED };

struct ipcfs_audit_sink {
	const struct ipcfs_audit_sink_ops *ops;
	int fd;		  /* -1: not open now */
	int directory;	  /* a file's, held, so that it is the same after a mount over it */
	const char *file; /* its name there; points into the target */
	bool torn;	  /* the last record was written in part */
};

/*
 * Is it "syslog", "journal", "audit" or an absolute path? -EINVAL; -EOPNOTSUPP: built without libaudit.
 */
int ipcfs_audit_sink_check(const char *target);

/*
 * Open it; `target`, which was checked, has to outlive the sink. A file is made if it is not there (mode 0600), and
 * must be a regular file, a FIFO or a character device: -EINVAL otherwise, -ELOOP for a symbolic link. The other three
 * may come later: no error. Close with ipcfs_audit_sink_close.
 */
int ipcfs_audit_sink_open(struct ipcfs_audit_sink *sink, const char *target);
void ipcfs_audit_sink_close(struct ipcfs_audit_sink *sink);

/* Before some records: a file that was renamed or removed is opened anew. */
void ipcfs_audit_sink_renew(struct ipcfs_audit_sink *sink);

/*
 * Put one record (no newline in it; record[size] may be overwritten) there. -EAGAIN: nobody took it within
 * `patience` ms; -ENOSPC and the like: it is lost, or was written in part.
 */
int ipcfs_audit_sink_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
			 enum ipcfs_audit_severity severity, int patience);

#endif
