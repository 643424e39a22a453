/* SPDX-License-Identifier: MIT */
/*
 * The session: threads that read requests from /dev/fuse, from the mount to the unmount. No handler
 * may block in one of them.
 *
 * Signals of the process while it runs: SIGTERM, SIGINT and SIGHUP are blocked everywhere and end
 * the session (SIGHUP only where there is nothing to reload); SIGPIPE and SIGXFSZ are ignored; SIGUSR1 has an empty handler that interrupts system calls
 * and is unblocked in the workers and in every thread made by start or by a handler, so that
 * anybody may send it to a thread of his own with pthread_kill.
 */
#ifndef IPCFS_SESSION_H
#define IPCFS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

struct fuse_session;

struct ipcfs_session_hooks {
	/* After the fork, before the first request: start threads. 0 or -errno. */
	int (*start)(void *arg, struct fuse_session *session);
	/* The session ends: answer every parked request now; any that come later get no answer. */
	void (*stop)(void *arg);
	/*
	 * May this request, as the kernel wrote it, be handled? False: it was answered and is dropped.
	 * Called by all workers.
	 */
	bool (*admit)(void *arg, const void *request, size_t size);
	/* It was handled, or parked, or dropped, or SIGUSR1 came instead: by the same thread, before its next one. */
	void (*done)(void *arg);
	/* A thread takes no more requests. */
	void (*leave)(void *arg);
	/* SIGHUP, in the main thread. NULL: it ends the session. */
	void (*reload)(void *arg);
	void *arg;
	/* A pidfd of a process whose end ends the session, too; -1: none. */
	int process;
};

/*
 * Serve a session mounted on `mountpoint` (an absolute path) to its end: unmount, umount -f,
 * SIGTERM, SIGINT or SIGHUP, the end of hooks->process. Unless `foreground`, forks first; the parent exits 0 once the kernel's
 * INIT was answered, or returns as if serving were impossible when the child fails before. In the
 * foreground the service manager is told instead (notify.h), and of the end, too.
 * Unmounts at the end, with files open or not. 0, or -errno of what made serving impossible,
 * logged.
 *
 * From the end on the process has 800 ms to exit; then it is ended, with 0, whatever it does.
 */
int ipcfs_session_run(struct fuse_session *session, const char *mountpoint, bool foreground,
		      const struct ipcfs_session_hooks *hooks);

#endif
