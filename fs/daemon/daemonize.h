/* SPDX-License-Identifier: MIT */
/*
 * Going into the background in two steps: fork, and give up the terminal when the mount is ready.
 */
#ifndef IPCFS_DAEMONIZE_H
#define IPCFS_DAEMONIZE_H

/*
 * Forks. Returns 0 in the child, which is in a session of its own, in "/", with standard streams as
 * before. *ready is a descriptor for ipcfs_daemonize_ready. The parent waits, and exits with 0 when
 * the child is ready.
 * In the parent:
 *   -ECHILD: the child ended before it was ready.
 *   -EOWNERDEAD: the child was killed before it was ready, which was logged.
 *   -EINTR: SIGINT or SIGTERM is pending. The child has got SIGTERM, and has ended.
 *   Other errors of fork(2) and pipe2(2): there is no child.
 */
int ipcfs_daemonize_fork(int *ready);

/*
 * Redirects the child's standard streams to /dev/null and the log to syslog, and lets the parent
 * exit. Closes `ready`.
 */
void ipcfs_daemonize_ready(int ready);

/* Does the first two things alone: in a child of the child, while the parent waits. */
void ipcfs_daemonize_leave(void);

#endif
