/* SPDX-License-Identifier: MIT */
/* The service: what the process that serves a mount starts, stops and reads again. */
#ifndef IPCFS_SERVICE_H
#define IPCFS_SERVICE_H

#include <stdbool.h>
#include <sys/types.h>

#include "fs/daemon/session.h"
#include "fs/ops/options.h"

struct ipcfs_handover;

struct ipcfs_service {
	struct ipcfs_filesystem *fs;	     /* owned */
	struct ipcfs_handover *state;	     /* not owned: what another program would get */
	const struct ipcfs_options *options; /* of it */
	const char *mountpoint;		     /* the same */
	dev_t device;
	const struct ipcfs_worker *worker; /* not owned; NULL: this is no worker */
	bool reloaded; /* the worker reads the brokers' file again at its start */
};

/* Opens the file system. A negative errno was logged. Call while there is one thread. */
int ipcfs_service_open(struct ipcfs_service *service);

/* Returns the hooks of a session that serves it. */
struct ipcfs_session_hooks ipcfs_service_hooks(struct ipcfs_service *service);

/* Frees what the service owns. Call after the session has ended. */
void ipcfs_service_free(struct ipcfs_service *service);

#endif
