/* SPDX-License-Identifier: MIT */
/* Events, and the text of their records. Pure functions. */
#ifndef IPCFS_AUDIT_RECORD_H
#define IPCFS_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "fs/access/caller.h"

enum ipcfs_audit_level {
	IPCFS_AUDIT_OFF,
	IPCFS_AUDIT_DENY,   /* refusals */
	IPCFS_AUDIT_CHANGE, /* and whatever makes, removes or changes objects and limits */
	IPCFS_AUDIT_ALL,    /* and what is allowed, except the single uses of an open file */
};

enum ipcfs_audit_op {
	IPCFS_AUDIT_OPEN,
	IPCFS_AUDIT_READ,  /* a use of an open file that needs the right to read */
	IPCFS_AUDIT_WRITE, /* a use that needs the right to write; truncate(2) */
	IPCFS_AUDIT_LIST,
	IPCFS_AUDIT_STAT,
	IPCFS_AUDIT_ACCESS, /* access(2) */
	IPCFS_AUDIT_ENTER,  /* any request that the whitelist or the rate refuses */
	/* Changes. */
	IPCFS_AUDIT_MAKE,
	IPCFS_AUDIT_REMOVE,
	IPCFS_AUDIT_CHMOD,
	IPCFS_AUDIT_CHOWN,
	IPCFS_AUDIT_SETFACL,
	IPCFS_AUDIT_CHANGE_BYTES, /* qbytes */
	IPCFS_AUDIT_LIMIT,
};

#define IPCFS_AUDIT_RECORD_MAX 2048 /* bytes of a record, with its NUL */

/* One decision. Fields that do not apply are 0 or NULL. */
struct ipcfs_audit_event {
	enum ipcfs_audit_op op;
	unsigned want;		/* IPCFS_WANT_*, if permission to read or write was needed */
	int error;		/* 0: allowed; a negative errno */
	const char *reason;	/* what decided: "owner", "mask", "kernel", ... */
	uint64_t ipc_namespace; /* the object's, with -o namespaces; else 0 */
	/* The object: these are joined by slashes. */
	const char *family, *class_name, *name;
	const char *file;   /* in the object's directory */
	const char *detail; /* the new value, of a change */
	uid_t uid;	    /* the ids that were checked */
	gid_t gid;
	pid_t tid; /* the thread that made the request; 0: unknown */
};

/* The program of the thread, as /proc shows it. */
struct ipcfs_audit_program {
	pid_t pid;
	char name[IPCFS_PROGRAM_SIZE];
};

/*
 * Tells whether the level includes an operation with this result. Errors that are no refusals (no
 * such object, no memory) are never included.
 */
bool ipcfs_audit_wanted(enum ipcfs_audit_level level, enum ipcfs_audit_op op, int error);

/* Returns the word for an operation. */
const char *ipcfs_audit_op_name(enum ipcfs_audit_op op);

/* Returns the level of the name "deny", "change" or "all"; IPCFS_AUDIT_OFF for any other. */
enum ipcfs_audit_level ipcfs_audit_level(const char *name);

/*
 * Writes the record of an event: one line without a newline, ended by a NUL. Returns its length.
 * Each record has all fields, in the same order, as key="value". Quotes, backslashes and bytes that
 * are not printable ASCII are written as \ooo, so a value ends at the first quote and a record at
 * the first newline.
 */
size_t ipcfs_audit_format(char record[IPCFS_AUDIT_RECORD_MAX],
			  const struct ipcfs_audit_event *event,
			  const struct ipcfs_audit_program *program, const struct timespec *when);

/*
 * Writes a record about `suppressed` records that were not made or got lost. `uid` NULL: of any
 * uid.
 */
size_t ipcfs_audit_format_summary(char record[IPCFS_AUDIT_RECORD_MAX], const char *uid,
				  uint64_t suppressed, const char *reason,
				  const struct timespec *when);

#endif
