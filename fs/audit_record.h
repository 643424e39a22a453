/* SPDX-License-Identifier: MIT */
/* What is recorded of a decision, and how a record looks. All of it pure. */
#ifndef IPCFS_AUDIT_RECORD_H
#define IPCFS_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "caller.h"

enum ipcfs_audit_level {
	IPCFS_AUDIT_OFF,
	IPCFS_AUDIT_DENY,   /* refusals */
	IPCFS_AUDIT_CHANGE, /* and what makes, removes or changes objects and limits */
	IPCFS_AUDIT_ALL,    /* and what is allowed, but not each use of an open file */
};

enum ipcfs_audit_op {
	IPCFS_AUDIT_OPEN,
	IPCFS_AUDIT_READ,  /* any use of an open file that asks for the right to read */
	IPCFS_AUDIT_WRITE, /* ... to write; truncate(2) */
	IPCFS_AUDIT_LIST,
	IPCFS_AUDIT_STAT,
	IPCFS_AUDIT_ACCESS, /* access(2) */
	IPCFS_AUDIT_ENTER, /* any request, refused by the whitelist or the rate before it is looked at */
	/* changes */
	IPCFS_AUDIT_MAKE,
	IPCFS_AUDIT_REMOVE,
	IPCFS_AUDIT_CHMOD,
	IPCFS_AUDIT_CHOWN,
	IPCFS_AUDIT_SETFACL,
	IPCFS_AUDIT_CHANGE_BYTES, /* qbytes */
	IPCFS_AUDIT_LIMIT,
};

#define IPCFS_AUDIT_RECORD_MAX 2048 /* bytes of a record, with its NUL */

/* One decision. What does not apply is 0 or NULL. */
struct ipcfs_audit_event {
	enum ipcfs_audit_op op;
	unsigned want;	    /* IPCFS_WANT_*, where permission to read or write was asked for */
	int error;	    /* 0: allowed; a negative errno */
	const char *reason; /* by what it was decided: "owner", "mask", "kernel", ... */
	uint64_t
		ipc_namespace; /* the object's, in a mount that shows all; 0: none, or the only one */
	/* the object: those that are not NULL, joined by slashes */
	const char *family, *class_name, *name;
	const char *file;   /* in the object's directory */
	const char *detail; /* what a change makes of it */
	uid_t uid;	    /* who was judged */
	gid_t gid;
	pid_t tid; /* the thread that asked; 0: unknown */
};

/* What /proc tells of the thread. */
struct ipcfs_audit_program {
	pid_t pid;
	char name[IPCFS_PROGRAM_ROOM];
};

/* Does the errno (negative) say that somebody may not, or that a limit is reached? */
bool ipcfs_audit_refused(int error);

/* Is it recorded at this level? Errors that are no refusals (no such object, no memory) never are. */
bool ipcfs_audit_wanted(enum ipcfs_audit_level level, enum ipcfs_audit_op op, int error);

/* "deny", "change", "all"; IPCFS_AUDIT_OFF for anything else. */
enum ipcfs_audit_level ipcfs_audit_level(const char *name);

/*
 * Fill `record` with one line, without a newline, and end it. Returns its length. Every field is always
 * there, in the same order, as key="value"; bytes of a value that are not printable ASCII, quotes and
 * backslashes are \ooo, so that a value ends at the first quote and a record at the first newline.
 */
size_t ipcfs_audit_format(char record[IPCFS_AUDIT_RECORD_MAX],
			  const struct ipcfs_audit_event *event,
			  const struct ipcfs_audit_program *program, const struct timespec *when);

/* The same for records that were not made or got lost. uid NULL: of nobody in particular. */
size_t ipcfs_audit_format_summary(char record[IPCFS_AUDIT_RECORD_MAX], const char *uid,
				  uint64_t suppressed, const char *reason,
				  const struct timespec *when);

#endif
