/* SPDX-License-Identifier: MIT */
/*
 * What a supervisor hands over to the program that takes its place (upgrade.h): descriptors, and
 * what it knows from its start. It is a file in memory, of entries NAME=VALUE that each end with a
 * NUL. What has its default is left out, so a program need not know what the other one does not
 * use.
 */
#ifndef IPCFS_HANDOVER_H
#define IPCFS_HANDOVER_H

#include <fuse_opt.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/contract.h"
#include "fs/ops/options.h"

struct ipcfs_handover {
	uint64_t layout;   /* ipcfs_state_layout of the program that wrote it */
	uint64_t number;   /* the device number of the mount; 0: unknown */
	uint64_t mount_id; /* of ipcfs_mountpoint_id */
	/* Descriptors; -1: none. */
	int device; /* the connection */
	int legacy;
	int listener, client;		      /* see upgrade.h */
	int line, watch;		      /* of the worker: see supervisor.h */
	int target;			      /* a pidfd of options->target */
	int unmounter;			      /* see unmounter.h */
	int image;			      /* the program that wrote it */
	int keeper, holds;		      /* of ipcfs_holds_keep and ipcfs_holds_share */
	int leases[IPCFS_LEASES_DESCRIPTORS]; /* of ipcfs_leases_entrust */
	/* Processes; 0: none. */
	int worker, unmounter_process;
	bool privileged;  /* the process can mount and unmount itself */
	bool reloaded;	  /* SIGHUP has come since the start */
	bool back;	  /* the other program has failed: this one was there before */
	char *why;	  /* the reason of that */
	char *program;	  /* the absolute path of the program to take */
	char *mountpoint; /* as ipcfs_mountpoint_prepare has resolved it */
	struct ipcfs_options options;
	bool remembers; /* there are `latest`: see service.h */
	struct ipcfs_settings latest;
	struct fuse_args args; /* for fuse_session_new */
};

/* Initialises a handover without anything. */
void ipcfs_handover_init(struct ipcfs_handover *handover);

/* Frees what the handover owns: all that it points to. Descriptors stay open. */
void ipcfs_handover_free(struct ipcfs_handover *handover);

/*
 * Writes a file in memory. Returns a descriptor of it.
 * -ENOMEM, and errors of memfd_create(2) and write(2).
 */
int ipcfs_handover_write(const struct ipcfs_handover *handover);

/*
 * Reads the file of this descriptor. Free *handover with ipcfs_handover_free, after an error, too.
 * -EINVAL: an entry makes no sense, which was logged.
 * -ENOMEM, and errors of read(2).
 */
int ipcfs_handover_read(int fd, struct ipcfs_handover *handover);

/* Has a program that this process executes get the descriptors, or not. */
void ipcfs_handover_inherit(const struct ipcfs_handover *handover, bool inherit);

/* Closes all descriptors but these and the standard streams. Errors of close_range(2). */
int ipcfs_handover_close_others(const struct ipcfs_handover *handover);

#endif
