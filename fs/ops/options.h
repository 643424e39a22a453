/* SPDX-License-Identifier: MIT */
/* The settings of the command line. */
#ifndef IPCFS_OPTIONS_H
#define IPCFS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fs/audit/audit_record.h"
#include "fs/base/settings.h"

struct ipcfs_options {
	struct ipcfs_settings settings; /* of the command line, and of `config` where it has none */
	struct ipcfs_settings given;	/* of the command line alone, for a reload of `config` */
	char *source, *mountpoint;	/* owned */
	char *config;			/* owned, an absolute path; NULL: no configuration file */
	char *state;	 /* directory for access control lists; NULL: the default; owned */
	char *amqp;	 /* owned, an absolute path: the connections to brokers; NULL: none */
	char *amqp_text; /* what `amqp` had at the start; owned; NULL: it was not read yet */
	char *audit;	 /* where audit records go; NULL: nowhere; owned */
	enum ipcfs_audit_level audit_level;
	pid_t target;		  /* process whose IPC namespace is shown; 0: the daemon's is */
	bool namespaces;	  /* all IPC namespaces are shown */
	bool default_permissions; /* the kernel checks the shown modes */
	bool reexport;		  /* files without offsets ignore offsets, and don't refuse them */
	bool supervise;		  /* the mount outlives the process that serves it */
	bool inotify;		  /* inotify(7) tells what direct callers do, too */
	bool no_links;		  /* the kernel follows no symbolic link of the mount */
	bool auto_unmount;	  /* libfuse unmounts when the process ends */
	bool sloppy;		  /* unknown options are ignored */
	bool foreground, debug, help, version;
	bool upgrade; /* the mount that is there is to be served by the installed program */
};

#endif
