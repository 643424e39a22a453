/* SPDX-License-Identifier: MIT */
/* What session_thread.c and session_threads.c know of each other. */
#ifndef IPCFS_SESSION_INSIDE_H
#define IPCFS_SESSION_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/answered.h"
#include "fs/base/fuse_header.h"
#include "fs/daemon/aside.h"

#define IPCFS_SESSION_LOOK_MS 5	   /* between two looks of the watcher */
#define IPCFS_SESSION_SHARE 16	   /* threads for each payer */
#define IPCFS_SESSION_NODE_SHARE 4 /* of these, for one node */
#define IPCFS_SESSION_THREADS_MAX 256
#define IPCFS_SESSION_NOBODY ((uid_t)-1) /* the payer of requests that nobody waits for */

enum session_thread_state { SESSION_THREAD_ABSENT, SESSION_THREAD_RUNS, SESSION_THREAD_ENDED };

/* A session thread. */
struct session_thread {
	struct ipcfs_session_threads *threads;
	pthread_t id;
	void *stack;
	pid_t tid;
	struct ipcfs_fuse_header head; /* the thread's own: of its request */
	bool shares; /* the thread's own: its request is in memory that workers share */

	/* The thread sets these for its request, and then begins a turn. */
	atomic_ullong unique;
	atomic_uint uid;
	atomic_int late; /* of ipcfs_fuse_header_late */
	struct ipcfs_turns turns;

	/* Under the lock. The last three are of the request, if it was aside or others were held up. */
	enum session_thread_state state;
	uid_t payer;
	uint64_t node;
	bool is_long; /* it is long work */

	/* The watcher's: `turns.now` at the last look, and the looks since it was another one. */
	unsigned seen, looks;
};

struct fuse_session;
struct ipcfs_session_hooks;

struct ipcfs_session_threads {
	struct fuse_session *fuse;
	const struct ipcfs_session_hooks *hooks;
	pid_t main;
	unsigned ready; /* threads that shall be ready for a request */
	atomic_int error;
	atomic_bool resting; /* no thread begins with another request */

	pthread_t watcher;
	bool watched;  /* there is a watcher */
	unsigned calm; /* the watcher's: looks since a thread was held up */
	unsigned idle; /* the watcher's: looks since there was a request */
	unsigned late; /* the watcher's: looks that are left, after an answer for a thread */

	pthread_mutex_t lock; /* innermost; guards what follows. The atomics are read without it */
	pthread_cond_t wake;  /* the watcher */
	atomic_bool asleep;   /* the watcher waits for `wake` */
	bool stopping;
	atomic_uint running;
	atomic_uint wanted;
	struct ipcfs_aside aside;
	atomic_bool any_aside;
	struct session_thread all[IPCFS_SESSION_THREADS_MAX];
};

/* The function of a thread; `arg` is its struct session_thread. */
void *ipcfs_session_thread_run(void *arg);

#endif
