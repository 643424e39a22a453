/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptor.h"
#include "identity.h"
#include "stand_in.h"

/* How often one that is stopped is sent on before it is given up. */
#define STOPS_MAX 100

static atomic_bool enabled; /* set by ipcfs_stand_in_enable alone */

/* What both processes have; the argument of the work stands behind. */
struct shared {
	size_t size; /* of all of it */
	bool done;
	int result;
	_Alignas(max_align_t) unsigned char arg[];
};

/* All that the child needs, prepared by the parent: the child may not allocate. */
struct order {
	const struct ipcfs_stand_in *terms;
	int (*work)(void *arg);
	struct shared *shared;
	struct ipcfs_identity own;
	int user_ns; /* -1: ours */
};

static void free_order(struct order *order)
{
	ipcfs_identity_free(&order->own);
	ipcfs_descriptor_close(&order->user_ns);
	if (order->shared)
		(void)munmap(order->shared, order->shared->size); /* can't fail: it is mapped */
}

void ipcfs_stand_in_enable(void)
{
	atomic_store(&enabled, true);
}

bool ipcfs_stand_in_joins(const struct ipcfs_caller *caller)
{
	return caller->loaded && caller->foreign &&
	       atomic_load_explicit(&enabled, memory_order_relaxed);
}

bool ipcfs_stand_in_knows(const struct ipcfs_caller *caller)
{
	return caller->loaded &&
	       (caller->user_ns || !atomic_load_explicit(&enabled, memory_order_relaxed));
}

/* The one the caller was in when loaded: the number of its thread may be another's now. */
static int open_user_ns(const struct ipcfs_caller *caller, int *user_ns)
{
	char path[sizeof("/proc//ns/user") + 3 * sizeof(caller->tid)];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", caller->tid);
	*user_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (*user_ns < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -ENOMEM : -EPERM;
	return fstat(*user_ns, &st) || st.st_ino != caller->user_ns ? -EPERM : 0;
}

static int share(struct order *order, const void *arg, size_t size)
{
	size_t all = sizeof(*order->shared) + size;
	void *shared = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return -errno;
	order->shared = shared;
	order->shared->size = all;
	if (size)
		memcpy(order->shared->arg, arg, size);
	return 0;
}

/* All but that of the user namespace to join, -1: all. */
static int close_all_but(int kept)
{
	if (kept < 0)
		return syscall(SYS_close_range, 0U, ~0U, 0) ? -errno : 0;
	if (kept > 0 && syscall(SYS_close_range, 0U, (unsigned)kept - 1, 0))
		return -errno;
	return syscall(SYS_close_range, (unsigned)kept + 1, ~0U, 0) ? -errno : 0;
}

static int set_rlimit(const struct rlimit *wanted)
{
	struct rlimit own, less = *wanted;

	if (!syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, wanted, NULL))
		return 0;
	/* Without CAP_SYS_RESOURCE our own hard limit stands; never more than the caller's. */
	if (syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, NULL, &own))
		return -errno;
	if (less.rlim_cur > own.rlim_max)
		less.rlim_cur = own.rlim_max;
	less.rlim_max = own.rlim_max;
	return syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, &less, NULL) ? -errno : 0;
}

/*
 * Nobody but us may read or trace it, who has all our memory, and it ends when we do. The kernel forgets both when
 * the ids change.
 */
static int protect(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	return 0;
}

/*
 * The child's life: system calls only, since the process it was copied from has other threads,
 * whose locks are never released here. All signals that can be are blocked.
 */
static int live(const struct order *order)
{
	const struct ipcfs_stand_in *terms = order->terms;
	int error = protect();

	if (!error && terms->bare)
		error = close_all_but(order->user_ns);
	if (!error && terms->queues)
		error = set_rlimit(terms->queues);
	if (!error)
		error = ipcfs_identity_become(terms->caller, &order->own, order->user_ns);
	if (!error)
		error = protect();
	if (error)
		return error;
	return order->work(order->shared->arg);
}

/* Wait for the child's end. -EINTR when it was killed (by the caller, perhaps). */
static int await(pid_t child)
{
	int stops = 0;
	int result;

	for (;;) {
		if (waitpid(child, &result, __WALL | WUNTRACED) < 0) {
			if (errno != EINTR)
				return -errno;
		} else if (WIFEXITED(result)) {
			return 0;
		} else if (WIFSIGNALED(result)) {
			return -EINTR;
		} else if (WIFSTOPPED(result)) {
			/* The caller, whose process it is too, must not hold up our thread. */
			if (kill(child, ++stops < STOPS_MAX ? SIGCONT : SIGKILL))
				return -errno;
		}
	}
}

static int run(const struct order *order)
{
	sigset_t all, before;
	int error;
	pid_t child;

	/* No handler of ours may run in the child. */
	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return -error;
	child = fork();
	if (!child) {
		order->shared->result = live(order);
		order->shared->done = true;
		_exit(0);
	}
	error = child < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* can't fail: it was valid before */
	if (!error)
		error = await(child);
	if (!error && !order->shared->done)
		error = -EINTR;
	return error ? error : order->shared->result;
}

int ipcfs_stand_in_run(const struct ipcfs_stand_in *terms, int (*work)(void *arg), void *arg,
		       size_t size)
{
	__attribute__((cleanup(free_order))) struct order order = {
		.terms = terms,
		.work = work,
		.user_ns = -1,
	};
	int result = 0;

	if (!ipcfs_stand_in_knows(terms->caller))
		return -EPERM;
	if (ipcfs_stand_in_joins(terms->caller))
		result = open_user_ns(terms->caller, &order.user_ns);
	if (!result)
		result = ipcfs_identity_read(&order.own);
	if (!result)
		result = share(&order, arg, size);
	if (result)
		return result;
	result = run(&order);
	if (size)
		memcpy(arg, order.shared->arg, size);
	return result;
}
