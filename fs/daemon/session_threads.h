/* SPDX-License-Identifier: MIT */
/*
 * The session threads, which read requests from /dev/fuse and handle them.
 *
 * One for each CPU, 2 to 8, is ready for the next request. A handler is short. But some system
 * calls wait for a lock of the kernel that a user can hold, as that of a directory. So a watcher
 * looks at the threads every IPCFS_SESSION_LOOK_MS, and makes one more for each that it finds in
 * the same request twice. The watcher sleeps while no requests come.
 *
 * A payer (ipcfs_authority_payer) has at most IPCFS_SESSION_SHARE threads, IPCFS_SESSION_NODE_SHARE
 * of them for one node. Its further requests are put aside until one of these is free, in the order
 * in which they came. Beyond the bounds in
 * aside.h they are refused with EAGAIN.
 *
 * A request that turns out to be long work (long_work.h) is put aside, too. Each payer has at most
 * one thread that does such work.
 */
#ifndef IPCFS_SESSION_THREADS_H
#define IPCFS_SESSION_THREADS_H

#include <sys/types.h>

struct fuse_session;
struct ipcfs_session_hooks;
struct ipcfs_session_threads;

/*
 * Makes the state of the threads. The thread of the number `main` gets SIGUSR1 when the session
 * ends by itself. Free it with ipcfs_session_threads_destroy. NULL: there is no memory.
 */
struct ipcfs_session_threads *ipcfs_session_threads_create(struct fuse_session *fuse,
							   const struct ipcfs_session_hooks *hooks,
							   pid_t main);

/*
 * Serves INIT, the first request. The kernel sends no other one before it is answered.
 *   -ENODEV: the session has ended.
 *   -EPROTO: INIT was refused.
 *   Other errors of reading /dev/fuse.
 */
int ipcfs_session_threads_serve_init(struct ipcfs_session_threads *threads);

/*
 * Handles the requests that a worker before has left without an answer. Call before the threads
 * start. -ENOMEM: some were left out.
 */
int ipcfs_session_threads_replay(struct ipcfs_session_threads *threads);

/*
 * Starts the threads. Call ipcfs_session_threads_stop after an error, too.
 * Errors of pthread_create(3).
 */
int ipcfs_session_threads_start(struct ipcfs_session_threads *threads);

/* Ends the session and the threads, and waits for them. Requests that are aside get no answer. */
void ipcfs_session_threads_stop(struct ipcfs_session_threads *threads);

/* Returns the first error with which a thread ended, a negative errno; 0: none. */
int ipcfs_session_threads_error(const struct ipcfs_session_threads *threads);

void ipcfs_session_threads_destroy(struct ipcfs_session_threads *threads);

/*
 * Waits until no thread handles a request. From now on none begins with another one: what was read
 * is left to the next worker. Nobody is interrupted.
 */
void ipcfs_session_threads_rest(struct ipcfs_session_threads *threads);

#endif
