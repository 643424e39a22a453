/* SPDX-License-Identifier: MIT */
/* The process of -o inotify. */
#ifndef IPCFS_DAEMON_ECHO_H
#define IPCFS_DAEMON_ECHO_H

#include <sys/types.h>

#include "fs/events/echo.h"

/*
 * Starts the process, which does on the mount of this device at `mountpoint` what it is ordered. It
 * has no capability, nothing of the daemon's open, and ends with the daemon. Call it before there
 * are threads.
 * -ENOMEM. Errors of fork(2), pipe2(2) and mmap(2).
 */
int ipcfs_echo_start(struct ipcfs_echo *echo, const char *mountpoint, dev_t device);

#endif
