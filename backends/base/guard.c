/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/base/guard.h"

struct guard {
	uintptr_t start, end;
	sigjmp_buf back;
};

/* The guarded call that this thread is in; NULL: none. */
static _Thread_local struct guard *volatile current;

/* The signals that this thread blocks outside the handler. */
static _Thread_local sigset_t own_mask;

/* The process has one handler, which the first guarded call sets. */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct guard *guard = current;
	uintptr_t address = (uintptr_t)info->si_addr;
	struct sigaction dies = { .sa_handler = SIG_DFL };

	(void)context;
	if (guard && address >= guard->start && address < guard->end)
		siglongjmp(guard->back, 1);
	/*
	 * Not a guarded access: after the return it faults again, and the default action ends the
	 * process.
	 */
	(void)sigaction(signal, &dies, NULL);
}

static void set_handler(void)
{
	/* A jump leaves the handler, so the signal must not be blocked in it. */
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGBUS, &action, NULL);
}

/*
 * Sets the handler, and unblocks SIGBUS in this thread. Threads are made with all signals blocked,
 * and a fault whose signal is blocked ends the process.
 */
static void prepare_thread(void)
{
	static _Thread_local bool is_prepared;
	sigset_t faults;

	if (is_prepared)
		return;
	(void)pthread_once(&once, set_handler);
	(void)sigemptyset(&faults);
	(void)sigaddset(&faults, SIGBUS);
	(void)pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &own_mask);
	is_prepared = true;
}

int ipcfs_guard(const volatile void *start, size_t size, void (*body)(void *arg), void *arg)
{
	struct guard guard = { .start = (uintptr_t)start, .end = (uintptr_t)start + size };

	prepare_thread();
	if (sigsetjmp(guard.back, 0)) {
		/* under the thread sanitizer, the handler runs with all signals blocked */
		(void)pthread_sigmask(SIG_SETMASK, &own_mask, NULL);
		current = NULL;
		return -EFAULT;
	}
	current = &guard;
	body(arg);
	current = NULL;
	return 0;
}
