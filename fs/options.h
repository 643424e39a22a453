/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef IPCFS_OPTIONS_H
#define IPCFS_OPTIONS_H

#include <stdbool.h>

#include "audit_record.h"

struct fuse_args;

/* What the file system itself wants to know. */
struct ipcfs_settings {
	bool read_only;		  /* -o ro: opening what would consume is EROFS */
	unsigned max_waiters;	  /* parked requests per uid */
	unsigned max_waiters_all; /* parked requests altogether */
	char *state; /* where access control lists are kept; NULL: the usual place; owned */
	char *audit; /* where records go; NULL: nowhere; owned by ipcfs_options */
	enum ipcfs_audit_level audit_level;
};

struct ipcfs_options {
	struct ipcfs_settings settings;
	char *source, *mountpoint; /* owned */
	bool foreground, debug, help, version;
};

/*
 * Take ipcfs's own options and arguments out of args; what is left is libfuse's. 0, or -EINVAL after
 * saying on stderr what is wrong. Free with ipcfs_options_free.
 */
int ipcfs_options_parse(struct fuse_args *args, struct ipcfs_options *options);
void ipcfs_options_free(struct ipcfs_options *options);

/* --help */
void ipcfs_options_help(void);

#endif
