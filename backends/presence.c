/* SPDX-License-Identifier: MIT */
/*
 * Which IPC namespace a thread is in is its own. One that serves requests stays, as a guest, where the last one
 * took it, since the next one is likely to be about the same; when a namespace ends, its guests are sent home, so that
 * it does not outlive its processes because of us. What is held of System V semaphores
 * (SEM_UNDO) belongs to threads, and the kernel gives it back when one of them leaves; so all that
 * has to do with that is done by a thread that stays, the resident, or by those that it makes: they share it.
 */
#include "presence.h"

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

#include "space.h"

/*
 * Our own IPC namespace, and one in which nobody is and nothing will ever be, where the ended ones are
 * looked for. Set once, before there are threads. -1: no other is ever entered.
 */
static int home = -1, nowhere = -1;

/* Where this thread is; NULL: at home. */
static _Thread_local const struct ipcfs_space *here;
static _Thread_local bool dwells;

/* A thread that stays until it is wanted elsewhere, or sent home. */
struct guest {
	struct ipcfs_space *at; /* a reference; NULL: nowhere */
	pid_t tid;
	struct guest *next, *prev;
};
static _Thread_local struct guest guest;

#define KICK_NS (5 * 1000 * 1000)
#define KICKS_MAX                                                                                  \
	200 /* a request that takes longer than that takes its thread home when it is done */

struct ipcfs_resident {
	pthread_mutex_t door; /* guards the guests */
	struct guest *guests;
	pthread_mutex_t turn; /* of who has something to be done; taken before the other */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	pthread_t thread;
	bool running, ready, stop, ended;
	int error; /* of its start */
	int (*work)(void *arg);
	void *arg;
	int result;
};

int ipcfs_presence_start(void)
{
	home = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWIPC))
		return -errno;
	nowhere = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	return nowhere < 0 || setns(home, CLONE_NEWIPC) ? -errno : 0;
}

void ipcfs_presence_forget(int ns)
{
	(void)dup3(nowhere, ns, O_CLOEXEC); /* both are open */
}

int ipcfs_space_enter(const struct ipcfs_space *space, const struct ipcfs_space **before)
{
	const struct ipcfs_space *there = space && !space->home ? space : NULL;

	*before = here;
	if (!space || space->ns < 0 || dwells || here == there)
		return 0;
	if (setns(there ? there->ns : home, CLONE_NEWIPC))
		return -errno;
	here = there;
	return 0;
}

void ipcfs_space_leave(const struct ipcfs_space *before)
{
	int saved = errno;

	if (here == before)
		return;
	/* A thread that stays would do the next caller's work in another's namespace. */
	if (setns(before ? before->ns : home, CLONE_NEWIPC))
		abort();
	here = before;
	errno = saved;
}

/* The guest goes; its space is the caller's to put. */
static struct ipcfs_space *check_out(void)
{
	struct ipcfs_space *at = guest.at;

	if (!at)
		return NULL;
	pthread_mutex_lock(&at->resident->door);
	DL_DELETE(at->resident->guests, &guest);
	pthread_mutex_unlock(&at->resident->door);
	guest.at = NULL;
	return at;
}

static void check_in(struct ipcfs_space *space)
{
	ipcfs_space_hold(space);
	guest.at = space;
	guest.tid = gettid();
	pthread_mutex_lock(&space->resident->door);
	DL_APPEND(space->resident->guests, &guest);
	pthread_mutex_unlock(&space->resident->door);
}

void ipcfs_space_go_home(void)
{
	struct ipcfs_space *at = check_out();

	ipcfs_space_leave(NULL);
	ipcfs_space_put(at);
}

int ipcfs_space_visit(struct ipcfs_space *space)
{
	struct ipcfs_space *at;
	int error = 0;

	if (space->ns < 0 || here == (space->home ? NULL : space))
		return 0;
	if (space->home) {
		ipcfs_space_go_home();
		return 0;
	}
	at = check_out();
	if (setns(space->ns, CLONE_NEWIPC))
		error = -errno;
	if (!error) {
		here = space;
		check_in(space);
	} else {
		ipcfs_space_leave(NULL);
	}
	ipcfs_space_put(at);
	return error;
}

void ipcfs_space_rest(void)
{
	if (guest.at && ipcfs_space_has_ended(guest.at))
		ipcfs_space_go_home();
}

/* Wake the guests, which then find that it is over. */
static bool kick_guests(struct ipcfs_resident *resident)
{
	const struct guest *at;
	bool any;

	pthread_mutex_lock(&resident->door);
	DL_FOREACH (resident->guests, at)
		(void)syscall(SYS_tgkill, getpid(), at->tid, SIGUSR1);
	any = resident->guests != NULL;
	pthread_mutex_unlock(&resident->door);
	return any;
}

void ipcfs_resident_evict(struct ipcfs_resident *resident)
{
	const struct timespec moment = { .tv_nsec = KICK_NS };

	/* one that comes just before a thread goes to sleep is lost: again */
	for (unsigned kicks = 0; kicks < KICKS_MAX && kick_guests(resident); kicks++)
		(void)nanosleep(&moment, NULL);
}

void ipcfs_space_settle(void)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };

	/* Anywhere else it would keep a namespace, and do to its objects what is meant for ours. */
	while (home >= 0 && setns(home, CLONE_NEWIPC))
		(void)nanosleep(&moment, NULL);
	here = NULL;
	guest.at = NULL; /* a process has a copy of its maker's */
}

void ipcfs_space_dwell(const struct ipcfs_space *space)
{
	if (space->ns < 0) {
		ipcfs_space_settle();
		return;
	}
	here = space->home ? NULL : space;
	dwells = true;
}

struct ipcfs_resident *ipcfs_resident_new(void)
{
	struct ipcfs_resident *resident = calloc(1, sizeof(*resident));

	if (!resident)
		return NULL;
	pthread_mutex_init(&resident->door, NULL);
	pthread_mutex_init(&resident->turn, NULL);
	pthread_mutex_init(&resident->lock, NULL);
	pthread_cond_init(&resident->changed, NULL);
	return resident;
}

static void *reside(void *arg)
{
	const struct ipcfs_space *space = arg;
	struct ipcfs_resident *resident = space->resident;

	/* Also at home: it has to have an undo list of its own, which others don't leave. */
	int error = setns(space->ns, CLONE_NEWIPC) ? -errno : 0;

	ipcfs_space_dwell(space);
	pthread_mutex_lock(&resident->lock);
	resident->error = error;
	resident->ready = true;
	pthread_cond_broadcast(&resident->changed);
	while (!error && !resident->stop) {
		if (resident->work) {
			int (*work)(void *arg) = resident->work;
			int result;

			pthread_mutex_unlock(&resident->lock);
			result = work(resident->arg);
			pthread_mutex_lock(&resident->lock);
			resident->result = result;
			resident->work = NULL;
			pthread_cond_broadcast(&resident->changed);
		} else {
			pthread_cond_wait(&resident->changed, &resident->lock);
		}
	}
	pthread_mutex_unlock(&resident->lock);
	return NULL;
}

/* Called with both locks held. */
static int start_thread(struct ipcfs_space *space)
{
	struct ipcfs_resident *resident = space->resident;
	sigset_t all, before;
	int error;

	if (resident->ended)
		return -EIDRM;
	if (resident->running)
		return 0;
	resident->ready = resident->stop = false;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	error = -pthread_create(&resident->thread, NULL, reside, space);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return error;
	while (!resident->ready)
		pthread_cond_wait(&resident->changed, &resident->lock);
	if (resident->error) {
		pthread_mutex_unlock(&resident->lock);
		(void)pthread_join(resident->thread, NULL);
		pthread_mutex_lock(&resident->lock);
		return resident->error;
	}
	resident->running = true;
	return 0;
}

int ipcfs_space_run(struct ipcfs_space *space, int (*work)(void *arg), void *arg)
{
	struct ipcfs_resident *resident = space->resident;
	int result;

	if (space->ns < 0 || dwells)
		return work(arg);
	pthread_mutex_lock(&resident->turn);
	pthread_mutex_lock(&resident->lock);
	result = start_thread(space);
	if (!result) {
		resident->arg = arg;
		resident->work = work;
		pthread_cond_broadcast(&resident->changed);
		while (resident->work)
			pthread_cond_wait(&resident->changed, &resident->lock);
		result = resident->result;
	}
	pthread_mutex_unlock(&resident->lock);
	pthread_mutex_unlock(&resident->turn);
	return result;
}

void ipcfs_resident_end(struct ipcfs_resident *resident)
{
	pthread_mutex_lock(&resident->turn);
	pthread_mutex_lock(&resident->lock);
	resident->ended = resident->stop = true;
	pthread_cond_broadcast(&resident->changed);
	pthread_mutex_unlock(&resident->lock);
	if (resident->running)
		(void)pthread_join(resident->thread, NULL);
	resident->running = false;
	pthread_mutex_unlock(&resident->turn);
}

void ipcfs_resident_free(struct ipcfs_resident *resident)
{
	if (!resident)
		return;
	ipcfs_resident_end(resident);
	pthread_cond_destroy(&resident->changed);
	pthread_mutex_destroy(&resident->lock);
	pthread_mutex_destroy(&resident->turn);
	pthread_mutex_destroy(&resident->door);
	free(resident);
}
