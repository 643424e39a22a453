/* SPDX-License-Identifier: MIT */
/*
 * Each thread has an IPC namespace of its own. A thread that serves requests is a visitor: it stays
 * where its last request was, as the next one is likely to be about the same namespace. When a
 * namespace ends, its visitors are sent home, so that the daemon does not keep it alive.
 *
 * The adjustments of System V semaphores (SEM_UNDO) belong to threads, and the kernel applies them
 * when a thread enters another namespace. So every operation with an adjustment is made by a thread
 * that stays: the namespace worker, or a thread that it makes, which shares them.
 */
#include "backends/space/thread_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "backends/space/reference.h"

/*
 * The IPC namespace in which the process has started, and one that is empty for ever, in place of
 * those that have ended. Set once, while the process has one thread. -1: no other namespace is ever
 * entered.
 */
static int home = -1, empty_ns = -1;

/* The space that this thread is in; NULL: it is at home. */
static _Thread_local const struct ipcfs_space *current_space;
static _Thread_local bool pinned;

/* A thread that stays in a space until it visits another one or is sent home. */
struct visitor {
	struct ipcfs_space *at; /* referenced; NULL: it visits none */
	pid_t tid;
	struct visitor *next, *prev;
};
static _Thread_local struct visitor visitor;

#define KICK_NS (5 * 1000 * 1000)
#define KICKS_MAX 200 /* a longer request takes its thread home when it is done */

struct ipcfs_ns_worker {
	pthread_mutex_t visitors_lock; /* guards the visitors */
	struct visitor *visitors;
	pthread_mutex_t turn; /* one ipcfs_space_run at a time; taken before `lock` */
	pthread_mutex_t lock; /* guards the fields below */
	pthread_cond_t changed;
	pthread_t thread;
	bool running, ready, stop, ended;
	int error; /* of the thread's start */
	int (*work)(void *arg);
	void *arg;
	int result;
};

int ipcfs_thread_ns_start(void)
{
	home = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWIPC))
		return -errno;
	empty_ns = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	return empty_ns < 0 || setns(home, CLONE_NEWIPC) ? -errno : 0;
}

void ipcfs_thread_ns_empty(int ns)
{
	(void)dup3(empty_ns, ns, O_CLOEXEC); /* cannot fail: both are open */
}

int ipcfs_space_enter(const struct ipcfs_space *space, const struct ipcfs_space **before)
{
	const struct ipcfs_space *there = space && !space->home ? space : NULL;

	*before = current_space;
	if (!space || space->ns < 0 || pinned || current_space == there)
		return 0;
	if (setns(there ? there->ns : home, CLONE_NEWIPC))
		return -errno;
	current_space = there;
	return 0;
}

void ipcfs_space_leave(const struct ipcfs_space *before)
{
	int saved = errno;

	if (current_space == before)
		return;
	/* A thread that stays would serve the next caller in the wrong namespace. */
	if (setns(before ? before->ns : home, CLONE_NEWIPC))
		abort();
	current_space = before;
	errno = saved;
}

/*
 * Takes this thread off the list of visitors. Returns the space, whose reference is to be given
 * back; NULL: it visits none.
 */
static struct ipcfs_space *unlist_visitor(void)
{
	struct ipcfs_space *at = visitor.at;

	if (!at)
		return NULL;
	pthread_mutex_lock(&at->worker->visitors_lock);
	DL_DELETE(at->worker->visitors, &visitor);
	pthread_mutex_unlock(&at->worker->visitors_lock);
	visitor.at = NULL;
	return at;
}

static void list_visitor(struct ipcfs_space *space)
{
	ipcfs_space_ref(space);
	visitor.at = space;
	visitor.tid = gettid();
	pthread_mutex_lock(&space->worker->visitors_lock);
	DL_APPEND(space->worker->visitors, &visitor);
	pthread_mutex_unlock(&space->worker->visitors_lock);
}

void ipcfs_space_go_home(void)
{
	struct ipcfs_space *at = unlist_visitor();

	ipcfs_space_leave(NULL);
	ipcfs_space_unref(at);
}

int ipcfs_space_visit(struct ipcfs_space *space)
{
	struct ipcfs_space *at;
	int error = 0;

	if (space->ns < 0 || current_space == (space->home ? NULL : space))
		return 0;
	if (space->home) {
		ipcfs_space_go_home();
		return 0;
	}
	at = unlist_visitor();
	if (setns(space->ns, CLONE_NEWIPC))
		error = -errno;
	if (!error) {
		current_space = space;
		list_visitor(space);
	} else {
		ipcfs_space_leave(NULL);
	}
	ipcfs_space_unref(at);
	return error;
}

void ipcfs_space_rest(void)
{
	if (visitor.at && ipcfs_space_has_ended(visitor.at))
		ipcfs_space_go_home();
}

/*
 * Interrupts the system calls of all visitors, which then call ipcfs_space_rest. Returns whether
 * there are any.
 */
static bool kick_visitors(struct ipcfs_ns_worker *worker)
{
	const struct visitor *at;
	bool any;

	pthread_mutex_lock(&worker->visitors_lock);
	DL_FOREACH (worker->visitors, at)
		(void)syscall(SYS_tgkill, getpid(), at->tid, SIGUSR1);
	any = worker->visitors != NULL;
	pthread_mutex_unlock(&worker->visitors_lock);
	return any;
}

void ipcfs_ns_worker_evict(struct ipcfs_ns_worker *worker)
{
	const struct timespec moment = { .tv_nsec = KICK_NS };

	/* a signal just before a thread goes to sleep is lost, so signals are sent again */
	for (unsigned kicks = 0; kicks < KICKS_MAX && kick_visitors(worker); kicks++)
		(void)nanosleep(&moment, NULL);
}

void ipcfs_space_start_home(void)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };

	/*
	 * Elsewhere the thread would keep the namespace alive, and use its objects for those of
	 * home.
	 */
	while (home >= 0 && setns(home, CLONE_NEWIPC))
		(void)nanosleep(&moment, NULL);
	current_space = NULL;
	visitor.at = NULL; /* a forked process has a copy of its parent's */
}

const struct ipcfs_space *ipcfs_space_here(void)
{
	return current_space;
}

int ipcfs_thread_ns_join(const struct ipcfs_space *space)
{
	if (!space) {
		ipcfs_space_start_home();
		return 0;
	}
	return setns(space->ns, CLONE_NEWIPC) ? -errno : 0;
}

void ipcfs_space_pin(const struct ipcfs_space *space)
{
	if (space->ns < 0) {
		ipcfs_space_start_home();
		return;
	}
	current_space = space->home ? NULL : space;
	pinned = true;
}

struct ipcfs_ns_worker *ipcfs_ns_worker_new(void)
{
	struct ipcfs_ns_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	pthread_mutex_init(&worker->visitors_lock, NULL);
	pthread_mutex_init(&worker->turn, NULL);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	return worker;
}

static void *worker_main(void *arg)
{
	const struct ipcfs_space *space = arg;
	struct ipcfs_ns_worker *worker = space->worker;

	/*
	 * Also at home: setns(2) gives the thread adjustments of its own, which other threads
	 * cannot apply by leaving.
	 */
	int error = setns(space->ns, CLONE_NEWIPC) ? -errno : 0;

	ipcfs_space_pin(space);
	pthread_mutex_lock(&worker->lock);
	worker->error = error;
	worker->ready = true;
	pthread_cond_broadcast(&worker->changed);
	while (!error && !worker->stop) {
		if (worker->work) {
			int (*work)(void *arg) = worker->work;
			int result;

			pthread_mutex_unlock(&worker->lock);
			result = work(worker->arg);
			pthread_mutex_lock(&worker->lock);
			worker->result = result;
			worker->work = NULL;
			pthread_cond_broadcast(&worker->changed);
		} else {
			pthread_cond_wait(&worker->changed, &worker->lock);
		}
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

/*
 * Starts the worker's thread, unless it runs. Call with turn and lock held.
 * -EIDRM: the namespace has ended.
 * -EAGAIN, -ENOMEM.
 */
static int start_thread(struct ipcfs_space *space)
{
	struct ipcfs_ns_worker *worker = space->worker;
	sigset_t all, before;
	int error;

	if (worker->ended)
		return -EIDRM;
	if (worker->running)
		return 0;
	worker->ready = worker->stop = false;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	error = -pthread_create(&worker->thread, NULL, worker_main, space);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error;
	while (!worker->ready)
		pthread_cond_wait(&worker->changed, &worker->lock);
	if (worker->error) {
		pthread_mutex_unlock(&worker->lock);
		(void)pthread_join(worker->thread, NULL);
		pthread_mutex_lock(&worker->lock);
		return worker->error;
	}
	worker->running = true;
	return 0;
}

int ipcfs_space_run(struct ipcfs_space *space, int (*work)(void *arg), void *arg)
{
	struct ipcfs_ns_worker *worker = space->worker;
	int result;

	if (space->ns < 0 || pinned)
		return work(arg);
	pthread_mutex_lock(&worker->turn);
	pthread_mutex_lock(&worker->lock);
	result = start_thread(space);
	if (!result) {
		worker->arg = arg;
		worker->work = work;
		pthread_cond_broadcast(&worker->changed);
		while (worker->work)
			pthread_cond_wait(&worker->changed, &worker->lock);
		result = worker->result;
	}
	pthread_mutex_unlock(&worker->lock);
	pthread_mutex_unlock(&worker->turn);
	return result;
}

void ipcfs_ns_worker_end(struct ipcfs_ns_worker *worker)
{
	pthread_mutex_lock(&worker->turn);
	pthread_mutex_lock(&worker->lock);
	worker->ended = worker->stop = true;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	if (worker->running)
		(void)pthread_join(worker->thread, NULL);
	worker->running = false;
	pthread_mutex_unlock(&worker->turn);
}

void ipcfs_ns_worker_free(struct ipcfs_ns_worker *worker)
{
	if (!worker)
		return;
	ipcfs_ns_worker_end(worker);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	pthread_mutex_destroy(&worker->turn);
	pthread_mutex_destroy(&worker->visitors_lock);
	free(worker);
}
