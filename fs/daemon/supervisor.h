/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: the process that was started, with -o supervise. It keeps the connection to the
 * kernel, so that the mount lives, and reads no request. It forks a worker that serves the mount,
 * and another one when the worker is killed or crashes.
 *
 * If the next worker is to answer what the one before has read (`keeps`), all have the same
 * descriptor of the connection, and the same list of System V adjustments (SEM_UNDO): the kernel
 * applies it when the supervisor and its worker have ended. Otherwise each worker has a descriptor
 * of its own (FUSE_DEV_IOC_CLONE of <linux/fuse.h>). When that is closed, as the worker has ended,
 * the kernel fails these requests with ECONNABORTED.
 *
 * Each worker has an instance of inotify(7) of its own, too, of which the supervisor keeps a
 * descriptor until the next worker is ready. The kernel takes several ms to close the last one, and
 * that would be before the end of the dead worker is known.
 *
 * A worker may hand descriptors over to the supervisor, for the workers that follow, those of
 * another program (upgrade.h) with them: they go on with holds and with leased messages by these.
 */
#ifndef IPCFS_SUPERVISOR_H
#define IPCFS_SUPERVISOR_H

#include <signal.h>
#include <stdbool.h>

#define IPCFS_HANDED_MAX 3 /* descriptors that are handed over at once */

struct ipcfs_upgrade;

struct ipcfs_supervisor_hooks {
	/* The worker serves the mount, or has read its settings again. */
	void (*ready)(void *arg);
	/* SIGHUP came; the worker gets it next. */
	void (*reload)(void *arg);
	/* Another program is to take the place of this one. `ready` follows, here or there. */
	void (*upgrade)(void *arg);
	/* A signal that ends the mount came; the worker gets it next. */
	void (*ending)(void *arg);
	/*
	 * A worker is to be made. Returns whether what the ones before hold in System V is given
	 * back first.
	 */
	bool (*begin)(void *arg);
	/*
	 * A worker has handed over these descriptors, which are to be closed: see
	 * ipcfs_worker_hand_over. -1: it gave fewer, or there was no room for them.
	 */
	void (*keep)(void *arg, char word, const int descriptors[IPCFS_HANDED_MAX]);
	void *arg;
};

/* The process of a worker. */
struct ipcfs_worker {
	int line;      /* to the supervisor: readable when it has ended; -1: this is no worker */
	int watch;     /* an instance of inotify(7) of its own; -1: there is none */
	bool reloaded; /* SIGHUP has come since the start */
};

/*
 * Keeps a worker running; begins with that of another program if `upgrade` has taken its state
 * over (upgrade.h). Call while there is one thread, with `signals` blocked: those that end the
 * mount, SIGHUP and SIGCHLD.
 *
 * In each worker returns 1. Without `keeps`, `device`, the connection, is then the worker's own
 * descriptor of it.
 *
 * In the supervisor returns when a worker has ended in order, or after a signal that ends the
 * mount: 0. A negative errno: the first worker has failed, which was logged.
 */
int ipcfs_supervise(int device, bool keeps, const sigset_t *signals,
		    const struct ipcfs_supervisor_hooks *hooks, struct ipcfs_upgrade *upgrade,
		    struct ipcfs_worker *worker);

/* Tells the supervisor that the worker is ready, or that it has read its settings again. */
void ipcfs_worker_ready(const struct ipcfs_worker *worker);

/*
 * Gives the supervisor copies of descriptors that the workers after this one are to have. `word`
 * says to it which; lower-case words are the supervisor's own. Errors of sendmsg(2).
 */
int ipcfs_worker_hand_over(const struct ipcfs_worker *worker, char word, const int *descriptors,
			   unsigned count);

/*
 * Reads what the supervisor asks, if worker->line is readable. Returns true if the worker is to
 * stop between two requests, for ipcfs_worker_stopped. False: the supervisor has ended.
 */
bool ipcfs_worker_is_to_stop(const struct ipcfs_worker *worker);

/*
 * Tells the supervisor that the worker handles nothing any more. Returns when the supervisor has
 * ended. Else it ends the process.
 */
void ipcfs_worker_stopped(const struct ipcfs_worker *worker);

/* Tells the supervisor that the mount ends with this worker, however it ends from here on. */
void ipcfs_worker_ends(const struct ipcfs_worker *worker);

#endif
