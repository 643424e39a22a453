/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef IPCFS_OPTIONS_H
#define IPCFS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "audit_record.h"
#include "settings.h"

struct fuse_args;

struct ipcfs_options {
	struct ipcfs_settings settings; /* the command line's, over those of `config` */
	struct ipcfs_settings given;	/* the command line's alone, for reading `config` again */
	char *source, *mountpoint;	/* owned */
	char *config;			/* owned, an absolute path; NULL: no configuration file */
	char *state; /* where access control lists are kept; NULL: the usual place; owned */
	char *audit; /* where records go; NULL: nowhere; owned */
	enum ipcfs_audit_level audit_level;
	pid_t target;	 /* the process whose objects are shown; 0: our own */
	bool namespaces; /* all IPC namespaces are shown */
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
