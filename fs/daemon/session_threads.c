/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/session_threads.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/access/caller.h"
#include "fs/base/clock.h"
#include "fs/base/fuse_header.h"
#include "fs/base/log.h"
#include "fs/base/proc_file.h"
#include "fs/base/unanswered.h"
#include "fs/daemon/session_inside.h"

#define READY_MIN 2
#define READY_MAX 8
#define STACK (1024 * 1024) /* of which a few pages are touched; a sanitizer needs most of it */

#define REST_NS (200 * 1000)		      /* between two looks whether all threads rest */
#define KICK_MS 10			      /* between two signals to a thread that has to end */
#define SECOND (1000 / IPCFS_SESSION_LOOK_MS) /* looks a second */
#define LATE (SECOND / 2)	  /* looks until a request is answered that is held up by a lock */
#define LATE_AGAIN 4		  /* the same, after an answer */
#define LATE_ASLEEP (SECOND / 10) /* looks until one is that waits for anything, after an answer */
#define LATE_FOR (10 * SECOND)	  /* looks after an answer for which this holds */
#define DUE_MAX 64		  /* requests aside that one look asks about */

/*
 * Maps a stack with a page below it that can't be touched. The C library would keep the memory of
 * its own stacks after the threads have ended. NULL: there is no memory.
 */
static void *map_stack(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return NULL;
	if (!mprotect(stack, page, PROT_NONE))
		return stack;
	(void)munmap(stack, STACK); /* cannot fail: it is mapped */
	return NULL;
}

/* Makes a thread in an absent one's place. */
static int make(struct session_thread *fresh)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error)
		return -error;
	fresh->stack = map_stack();
	error = fresh->stack ? pthread_attr_setstack(&attr, fresh->stack, STACK) : ENOMEM;
	if (!error)
		error = pthread_create(&fresh->id, &attr, ipcfs_session_thread_run, fresh);
	if (error && fresh->stack)
		(void)munmap(fresh->stack, STACK); /* cannot fail: it is mapped */
	pthread_attr_destroy(&attr);
	return -error;
}

/* Adds a thread. Call with the lock held. */
static int add(struct ipcfs_session_threads *threads)
{
	struct session_thread *fresh = threads->all;
	int err;

	while (fresh->state != SESSION_THREAD_ABSENT)
		fresh++;
	fresh->threads = threads;
	fresh->payer = IPCFS_SESSION_NOBODY;
	err = make(fresh);
	if (err)
		return err;
	fresh->state = SESSION_THREAD_RUNS;
	threads->running++;
	return 0;
}

/* Frees the place of a thread that was joined. */
static void remove_joined(struct session_thread *thread)
{
	(void)munmap(thread->stack, STACK); /* cannot fail: it is mapped */
	thread->state = SESSION_THREAD_ABSENT;
}

/* Joins the threads that have ended. Returns how many places are free. Call with the lock held. */
static unsigned reap(struct ipcfs_session_threads *threads)
{
	unsigned places = 0;

	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++) {
		struct session_thread *thread = &threads->all[i];

		if (thread->state == SESSION_THREAD_ENDED && !pthread_tryjoin_np(thread->id, NULL))
			remove_joined(thread);
		places += thread->state == SESSION_THREAD_ABSENT;
	}
	return places;
}

/* Wakes idle threads of which there are too many, so that they end. Call with the lock held. */
static void wake_superfluous(struct ipcfs_session_threads *threads)
{
	unsigned wanted = threads->wanted, running = threads->running;

	for (unsigned i = 0; running > wanted && i < IPCFS_SESSION_THREADS_MAX; i++) {
		const struct session_thread *thread = &threads->all[i];

		if (thread->state != SESSION_THREAD_RUNS || (atomic_load(&thread->turns.now) & 1))
			continue;
		pthread_kill(thread->id, SIGUSR1);
		running--;
	}
}

/* Makes as many threads as are wanted, or has some end. */
static int adjust(struct ipcfs_session_threads *threads)
{
	unsigned places;
	int err = 0;

	pthread_mutex_lock(&threads->lock);
	for (places = reap(threads); places && !err && threads->running < threads->wanted; places--)
		err = add(threads);
	wake_superfluous(threads);
	pthread_mutex_unlock(&threads->lock);
	return err;
}

/*
 * Counts the threads that are in the same request as at the last look, and those that do long work.
 * Notes whether there was any request since. Call with the lock held.
 */
static unsigned count_held(struct ipcfs_session_threads *threads)
{
	bool idle = true;
	unsigned held = 0;

	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++) {
		struct session_thread *thread = &threads->all[i];
		unsigned turn = atomic_load(&thread->turns.now);

		thread->looks = (turn & 1) && turn == thread->seen ? thread->looks + 1 : 0;
		held += thread->looks > 0 || thread->is_long;
		idle = idle && turn == thread->seen && !(turn & 1);
		thread->seen = turn;
	}
	threads->idle = idle ? threads->idle + 1 : 0;
	threads->calm = held ? 0 : threads->calm + 1;
	return held;
}

/*
 * Returns how many threads there shall be. For each that is held up one more than that, up to a
 * share: the next request may be held up, too. They stay until a second has passed without any.
 * Call with the lock held.
 */
static unsigned want(const struct ipcfs_session_threads *threads, unsigned held)
{
	unsigned more = held < IPCFS_SESSION_SHARE ? held : IPCFS_SESSION_SHARE;
	unsigned wanted = threads->ready + held + more;

	if (threads->calm < SECOND && wanted < threads->wanted)
		wanted = threads->wanted;
	return wanted < IPCFS_SESSION_THREADS_MAX ? wanted : IPCFS_SESSION_THREADS_MAX;
}

/* Looks at the threads once. */
static void look(struct ipcfs_session_threads *threads)
{
	unsigned wanted;
	bool full;

	pthread_mutex_lock(&threads->lock);
	wanted = want(threads, count_held(threads));
	full = wanted == IPCFS_SESSION_THREADS_MAX && threads->wanted < wanted;
	atomic_store(&threads->wanted, wanted);
	pthread_mutex_unlock(&threads->lock);
	if (full)
		ipcfs_log(LOG_WARNING, "%u session threads are held up", wanted);
	/* If a thread can't be made, the next look tries again. */
	(void)adjust(threads);
}

/* Answers a request that is aside, if it still is. */
static void answer(struct ipcfs_session_threads *threads, uint64_t unique, int err)
{
	bool aside;

	pthread_mutex_lock(&threads->lock);
	aside = ipcfs_aside_drop(&threads->aside, unique);
	pthread_mutex_unlock(&threads->lock);
	if (aside)
		ipcfs_unanswered_refuse(fuse_session_fd(threads->fuse), unique, err);
}

/* Answers requests that are aside and overdue, or whose callers are ending. */
static void answer_aside(struct ipcfs_session_threads *threads)
{
	struct ipcfs_aside_due due[DUE_MAX];
	size_t count;

	pthread_mutex_lock(&threads->lock);
	count = ipcfs_aside_look(&threads->aside, threads->late ? LATE_AGAIN : LATE, due, DUE_MAX);
	pthread_mutex_unlock(&threads->lock);
	for (size_t i = 0; i < count; i++)
		if (due[i].overdue) {
			answer(threads, due[i].unique, -EBUSY);
			threads->late = LATE_FOR;
		} else if (ipcfs_caller_ends(due[i].tid)) {
			answer(threads, due[i].unique, -EINTR);
		}
}

/* Returns the state of a thread, a letter as in proc(5). 'R': also if it can't be read. */
static char state_of(pid_t tid)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file stat;
	const char *end;

	if (ipcfs_proc_file_read(&stat, tid, "stat"))
		return 'R';
	end = strrchr(stat.text, ')');
	return end && strlen(end) > 2 ? end[2] : 'R';
}

/*
 * Returns whether the thread has waited for too long. For a lock of the kernel, in state D, that is
 * half a second. For ten seconds after an answer other requests have less time, as a user may go on
 * holding them up, and time that is spent waiting for a child counts, too.
 */
static bool is_overdue(const struct ipcfs_session_threads *threads,
		       const struct session_thread *thread)
{
	char state;

	if (thread->looks < (threads->late ? LATE_AGAIN : LATE))
		return false;
	state = state_of(thread->tid);
	return state == 'D' || (threads->late && state == 'S' && thread->looks >= LATE_ASLEEP);
}

/*
 * Answers the request of a thread that is held up. The thread's own answer will fail, as if the
 * caller had been killed.
 */
static void answer_late(struct ipcfs_session_threads *threads, struct session_thread *thread)
{
	uint64_t unique = atomic_load(&thread->unique);
	uid_t uid = atomic_load(&thread->uid);
	int err = atomic_load(&thread->late);

	atomic_store(&thread->turns.answered, thread->seen);
	if (atomic_load(&thread->turns.now) != thread->seen)
		return; /* these were of another request perhaps */
	ipcfs_unanswered_refuse(fuse_session_fd(threads->fuse), unique, err);
	if (!threads->late)
		ipcfs_log(LOG_WARNING,
			  "a request of uid %u was answered: it waits for the lock of a file or a "
			  "directory",
			  uid);
	threads->late = LATE_FOR;
}

/* Answers requests that are held up too long while the kernel has a directory locked for them. */
static void answer_held(struct ipcfs_session_threads *threads)
{
	threads->late -= threads->late > 0;
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++) {
		struct session_thread *thread = &threads->all[i];

		if (thread->looks && atomic_load(&thread->late) &&
		    atomic_load(&thread->turns.held) == thread->seen &&
		    atomic_load(&thread->turns.answered) != thread->seen &&
		    is_overdue(threads, thread))
			answer_late(threads, thread);
	}
}

/* Sleeps until a request begins, unless one has meanwhile. Call with the lock held. */
static void sleep_until_begun(struct ipcfs_session_threads *threads)
{
	atomic_store(&threads->asleep, true);
	(void)count_held(threads);
	if (!threads->idle || threads->stopping)
		atomic_store(&threads->asleep, false);
	while (atomic_load(&threads->asleep))
		pthread_cond_wait(&threads->wake, &threads->lock);
	threads->idle = 0;
}

/* Waits until the next look is due. Returns whether there is one. */
static bool wait_for_look(struct ipcfs_session_threads *threads)
{
	struct timespec until = ipcfs_clock_after(CLOCK_MONOTONIC, IPCFS_SESSION_LOOK_MS);
	bool goes_on;

	pthread_mutex_lock(&threads->lock);
	if (threads->idle >= SECOND && threads->running == threads->ready)
		sleep_until_begun(threads);
	while (!threads->stopping &&
	       pthread_cond_timedwait(&threads->wake, &threads->lock, &until) != ETIMEDOUT)
		;
	goes_on = !threads->stopping;
	pthread_mutex_unlock(&threads->lock);
	return goes_on;
}

/* The watcher. */
static void *watch(void *arg)
{
	struct ipcfs_session_threads *threads = arg;

	do {
		look(threads);
		answer_held(threads);
		if (atomic_load(&threads->any_aside))
			answer_aside(threads);
	} while (wait_for_look(threads));
	return NULL;
}

static unsigned number_ready(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus > READY_MAX)
		return READY_MAX;
	return cpus > READY_MIN ? (unsigned)cpus : READY_MIN;
}

struct ipcfs_session_threads *ipcfs_session_threads_create(struct fuse_session *fuse,
							   const struct ipcfs_session_hooks *hooks,
							   pid_t main)
{
	struct ipcfs_session_threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return NULL;
	threads->fuse = fuse;
	threads->hooks = hooks;
	threads->main = main;
	threads->ready = number_ready();
	threads->wanted = threads->ready;
	pthread_mutex_init(&threads->lock, NULL);
	ipcfs_clock_cond_init(&threads->wake);
	return threads;
}

int ipcfs_session_threads_start(struct ipcfs_session_threads *threads)
{
	int err = adjust(threads);

	if (err)
		return err;
	err = -pthread_create(&threads->watcher, NULL, watch, threads);
	threads->watched = !err;
	return err;
}

static void stop_watcher(struct ipcfs_session_threads *threads)
{
	if (!threads->watched)
		return;
	pthread_mutex_lock(&threads->lock);
	threads->stopping = true;
	atomic_store(&threads->asleep, false);
	pthread_cond_signal(&threads->wake);
	pthread_mutex_unlock(&threads->lock);
	pthread_join(threads->watcher, NULL);
	threads->watched = false;
}

/* Signals a thread until it ends: a signal that comes just before it sleeps is lost. */
static void join(struct session_thread *thread)
{
	struct timespec until;

	do {
		pthread_kill(thread->id, SIGUSR1);
		until = ipcfs_clock_after(CLOCK_REALTIME, KICK_MS);
	} while (pthread_timedjoin_np(thread->id, NULL, &until) == ETIMEDOUT);
	remove_joined(thread);
}

/* Returns whether the place has a thread. */
static bool is_there(struct ipcfs_session_threads *threads, const struct session_thread *thread)
{
	bool there;

	pthread_mutex_lock(&threads->lock);
	there = thread->state != SESSION_THREAD_ABSENT;
	pthread_mutex_unlock(&threads->lock);
	return there;
}

void ipcfs_session_threads_stop(struct ipcfs_session_threads *threads)
{
	stop_watcher(threads);
	fuse_session_exit(threads->fuse);
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++)
		if (is_there(threads, &threads->all[i]))
			pthread_kill(threads->all[i].id, SIGUSR1);
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++)
		if (is_there(threads, &threads->all[i]))
			join(&threads->all[i]);
}

/* Returns whether a thread is in a request. */
static bool any_turn(const struct ipcfs_session_threads *threads)
{
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++)
		if (atomic_load(&threads->all[i].turns.now) & 1)
			return true;
	return false;
}

void ipcfs_session_threads_rest(struct ipcfs_session_threads *threads)
{
	atomic_store(&threads->resting, true);
	/* a thread that begins now sees that it may not, or its turn is seen here */
	while (any_turn(threads))
		nanosleep(&(struct timespec){ .tv_nsec = REST_NS }, NULL);
}

int ipcfs_session_threads_error(const struct ipcfs_session_threads *threads)
{
	return atomic_load(&threads->error);
}

void ipcfs_session_threads_destroy(struct ipcfs_session_threads *threads)
{
	ipcfs_aside_destroy(&threads->aside);
	pthread_mutex_destroy(&threads->lock);
	pthread_cond_destroy(&threads->wake);
	free(threads);
}
