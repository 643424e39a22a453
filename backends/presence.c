/* SPDX-License-Identifier: MIT */
/*
 * Which IPC namespace a thread is in is its own. One that serves requests enters for a request and
 * leaves after it, so that no namespace outlives its processes because of us. What is held of System V semaphores
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
#include <unistd.h>

#include "space.h"

/*
 * Our own IPC namespace, and one in which nobody is and nothing will ever be, where the ended ones are
 * looked for. Set once, before there are threads. -1: no other is ever entered.
 */
static int home = -1, nowhere = -1;

/* Where this thread is; NULL: at home. */
static _Thread_local const struct ipcfs_space *here;
static _Thread_local bool dwells;

struct ipcfs_resident {
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

void ipcfs_space_dwell(const struct ipcfs_space *space)
{
	if (space->ns < 0)
		return;
	here = space->home ? NULL : space;
	dwells = true;
}

struct ipcfs_resident *ipcfs_resident_new(void)
{
	struct ipcfs_resident *resident = calloc(1, sizeof(*resident));

	if (!resident)
		return NULL;
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
	free(resident);
}
