/* SPDX-License-Identifier: MIT */
/* Into the background, in two steps: fork first, let go of the terminal once ready. */
#ifndef IPCFS_DAEMONIZE_H
#define IPCFS_DAEMONIZE_H

/*
 * Fork. The child returns 0 in a session of its own, in "/", with *ready a descriptor for
 * ipcfs_daemonize_ready; the terminal stays open for messages until then. The parent waits: when
 * the child is ready it exits 0 at once; when the child ends before, it returns -ECHILD (an
 * ordinary end was explained by the child, one by a signal is logged). Other negative errnos: no
 * child.
 */
int ipcfs_daemonize_fork(int *ready);

/* In the child: standard streams to /dev/null, log to syslog, let the parent go. Closes `ready`. */
void ipcfs_daemonize_ready(int ready);

#endif
