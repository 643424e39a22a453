/* SPDX-License-Identifier: MIT */
/*
 * The echo: a process that does again on the mount what direct callers did to objects, so that
 * inotify(7) tells of it (fs/daemon/echo.c). The daemon answers its requests without any effect
 * (fs/ops/echo_ops.c).
 */
#ifndef IPCFS_ECHO_H
#define IPCFS_ECHO_H

#include <stdatomic.h>

#include "fs/events/event.h"

struct ipcfs_echo {
	pid_t process; /* 0: there is none */
	int orders;    /* a pipe to the process */
	/* in memory that is shared with the process: what it does, it makes; else it removes */
	atomic_bool *makes;
};

/* An order to the process. */
struct ipcfs_echo_order {
	bool makes;
	char path[NAME_MAX + 32]; /* of the object, from the root of the mount */
};

/* Orders to repeat what a direct caller did. Does not wait: when too much happens, some is dropped. */
void ipcfs_echo_order(const struct ipcfs_echo *echo, const struct ipcfs_event *event);

#endif
