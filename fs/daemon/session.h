/* SPDX-License-Identifier: MIT */
/*
 * Room fs/daemon: the process: command line, configuration, mount, session, privileges.
 * May be called by no room; main.c is the program.
 * May call every room of fs/, and backends/contract.
 *
 * The session, from mounting to unmounting: threads read requests from /dev/fuse
 * (session_threads.h), and the main thread waits for the end.
 *
 * Signals while it runs: SIGTERM, SIGINT, SIGHUP and SIGCHLD are blocked in all threads. SIGTERM
 * and SIGINT end the session, SIGHUP calls the reload hook, SIGCHLD the children hook. SIGPIPE and
 * SIGXFSZ are ignored. SIGUSR1 has an empty handler and interrupts system calls. It is unblocked in
 * the session threads and in every thread that the start hook or a handler makes, so that a room can
 * interrupt its own threads with pthread_kill.
 */
#ifndef IPCFS_SESSION_H
#define IPCFS_SESSION_H

#include <stdbool.h>
#include <stddef.h>

struct fuse_session;
struct ipcfs_legacy;
struct ipcfs_upgrade;
struct ipcfs_worker;

struct ipcfs_session_hooks {
	/*
	 * Opens the file system, in each worker of a supervisor; not called without one. Takes over
	 * worker->watch. A negative errno, which was logged.
	 */
	int (*open)(void *arg, const struct ipcfs_worker *worker);
	/*
	 * Prepares for workers that go on with what the ones before hold, those of another program
	 * with them. Called by the supervisor. An error was logged.
	 */
	void (*share)(void *arg);
	/* Has given back what they hold. Called by the supervisor, without a worker. */
	void (*drop)(void *arg);
	/* Keeps descriptors for them that a worker has handed over. Called by the supervisor. */
	void (*keep)(void *arg, char word, const int *descriptors);
	/* Remembers settings for the workers to come. Called by the supervisor at SIGHUP. */
	void (*remember)(void *arg);
	/*
	 * Starts threads. Called after the fork, before the first request. A negative errno: it
	 * failed.
	 */
	int (*start)(void *arg, struct fuse_session *session);
	/*
	 * Tells the kernel that what a worker before this one has told it is old. Called once, while
	 * requests are served.
	 */
	void (*succeed)(void *arg);
	/*
	 * Has all threads leave parked requests alone, after the session threads have ended: the
	 * next worker goes on with these.
	 */
	void (*rest)(void *arg);
	/* Answers every parked request, as the session ends. Later requests get no answer. */
	void (*stop)(void *arg);
	/*
	 * Tells whether to handle a request, as the kernel wrote it. False: it was answered. Called
	 * by all session threads.
	 */
	bool (*admit)(void *arg, const void *request, size_t size);
	/*
	 * Called by the same thread before its next request: it was handled, parked or refused, or
	 * SIGUSR1 came instead.
	 */
	void (*done)(void *arg);
	/*
	 * Closes the open file that a request of a worker before was to open or to close: it is not
	 * handled again. `waited`: the kernel was told that it has failed, and nothing else before.
	 */
	void (*abandon)(void *arg, const void *request, size_t size, bool waited);
	/* Called by a session thread that ends. */
	void (*leave)(void *arg);
	/* Reads the settings again. Called by the main thread at SIGHUP. */
	void (*reload)(void *arg);
	/* Looks after child processes. Called by the main thread at SIGCHLD. */
	void (*children)(void *arg);
	/* Returns a pidfd of a process whose end ends the session; -1: none. */
	int (*process)(void *arg);
	void *arg;
};

/*
 * Serves a session that is mounted on `mountpoint`, an absolute path, until it is unmounted, a
 * signal ends it (see above), or that of hooks->process ends. Then unmounts, even while files are open. A
 * negative errno, which was logged: requests could not be served.
 *
 * Unless `foreground`, forks first. The parent exits with 0 when the kernel's INIT request was
 * answered, or returns an error when the child ends before. In the foreground, the service manager
 * is told about start and end (notify.h).
 *
 * From the beginning of the end on the process has 800 ms; then it exits with 0 in any case.
 *
 * Unless `legacy` is NULL, this process becomes a supervisor (supervisor.h), and the function returns
 * in each worker too. Call it with an open file system if it is NULL, with no `upgrade`
 * (upgrade.h). If that has taken over from another program, the process is a supervisor already.
 */
int ipcfs_session_run(struct fuse_session *session, const char *mountpoint, bool foreground,
		      struct ipcfs_legacy *legacy, struct ipcfs_upgrade *upgrade,
		      const struct ipcfs_session_hooks *hooks);

#endif
