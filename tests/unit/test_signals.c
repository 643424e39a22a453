/* SPDX-License-Identifier: MIT */
/* Signals that are pending for real threads, and how threads end. */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "children.h"
#include "fs/access/caller.h"

static void ignore(int signal)
{
	(void)signal;
}

/*
 * A child that handles every signal, has SIGUSR2 blocked, and cannot take a signal: it waits for
 * its vfork to end.
 */
static bool catch_everything(void)
{
	struct sigaction action = { .sa_handler = ignore };
	sigset_t blocked;

	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != SIGSEGV &&
		    signal != SIGBUS && (signal <= 31 || signal >= SIGRTMIN))
			sigaction(signal, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	return sigprocmask(SIG_SETMASK, &blocked, NULL) == 0;
}

struct deaf_child {
	pid_t pid, vforked;
};

static struct deaf_child deaf_child_start(void)
{
	struct deaf_child child;
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!catch_everything())
			_exit(1);
		if (vfork() == 0) {
			pid_t self = getpid();

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (write(ready[1], &self, sizeof(self)) != sizeof(self))
				_exit(1);
			for (;;)
				pause();
		}
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &child.vforked, sizeof(child.vforked)),
			 sizeof(child.vforked));
	close(ready[0]);
	return child;
}

static void deaf_child_end(struct deaf_child child)
{
	child_end(child.pid);
	/* It died with its parent, and is this test's child now. */
	assert_int_equal(waitpid(child.vforked, NULL, 0), child.vforked);
}

/* Sends a signal, and waits for the end of a child that SIGKILL ends. The child stays a zombie. */
static void send_signal(struct deaf_child child, int signal)
{
	siginfo_t info;

	assert_int_equal(kill(child.pid, signal), 0);
	if (signal == SIGKILL)
		assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
}

static bool interrupted_by(int signal)
{
	struct deaf_child child = deaf_child_start();
	bool before = ipcfs_caller_interrupted(child.pid), after;

	send_signal(child, signal);
	after = ipcfs_caller_interrupted(child.pid);
	deaf_child_end(child);
	assert_false(before);
	return after;
}

static void pending_signals(void **state)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1, SIGALRM, SIGPIPE,
				    SIGIO,  SIGTSTP, SIGSTOP, SIGKILL, SIGXCPU, SIGSYS };
	static const int does_not_end[] = { SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGUSR2 };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		assert_true(interrupted_by(ends[i]));
	assert_true(interrupted_by(SIGRTMIN));
	assert_true(interrupted_by(SIGRTMAX));
	for (size_t i = 0; i < sizeof(does_not_end) / sizeof(does_not_end[0]); i++)
		assert_false(interrupted_by(does_not_end[i]));
}

static void what_is_caught_does_not_end(void **state)
{
	struct deaf_child child = deaf_child_start();

	(void)state;
	assert_false(ipcfs_caller_ends(child.pid));
	assert_int_equal(kill(child.pid, SIGTERM), 0); /* caught */
	assert_int_equal(kill(child.pid, SIGCHLD), 0);
	assert_false(ipcfs_caller_ends(child.pid));
	send_signal(child, SIGKILL);
	assert_true(ipcfs_caller_ends(child.pid));
	deaf_child_end(child);
	assert_true(ipcfs_caller_ends(pid_of_nobody()));
	assert_true(ipcfs_caller_ends(0));
}

/* Returns why a child was interrupted that has this signal pending; 0: none. */
static enum ipcfs_interrupt interrupt_of(int signal, bool again)
{
	struct deaf_child child = deaf_child_start();
	enum ipcfs_interrupt interrupt;

	send_signal(child, signal);
	interrupt = ipcfs_caller_interrupt(child.pid, again);
	deaf_child_end(child);
	return interrupt;
}

static void why_a_wait_was_interrupted(void **state)
{
	(void)state;
	assert_int_equal(interrupt_of(SIGKILL, false), IPCFS_INTERRUPT_END);
	assert_int_equal(interrupt_of(SIGINT, false), IPCFS_INTERRUPT_END); /* though caught */
	assert_int_equal(interrupt_of(SIGTERM, false), IPCFS_INTERRUPT_CAUGHT);
	assert_int_equal(interrupt_of(SIGTSTP, false), IPCFS_INTERRUPT_CAUGHT);
	assert_int_equal(interrupt_of(SIGSTOP, false), IPCFS_INTERRUPT_PAUSE);
	assert_int_equal(interrupt_of(SIGSTOP, true), IPCFS_INTERRUPT_PAUSE);
	assert_int_equal(interrupt_of(SIGCHLD, false), IPCFS_INTERRUPT_NONE);
	assert_int_equal(interrupt_of(0, false), IPCFS_INTERRUPT_PAUSE);
	assert_int_equal(interrupt_of(0, true), IPCFS_INTERRUPT_NONE);
	assert_int_equal(ipcfs_caller_interrupt(0, false), IPCFS_INTERRUPT_PAUSE);
	assert_int_equal(ipcfs_caller_interrupt(pid_of_nobody(), true), IPCFS_INTERRUPT_END);
}

static void pending_for_the_thread(void **state)
{
	struct deaf_child child = deaf_child_start();
	pid_t pid = child.pid;

	(void)state;
	assert_int_equal(syscall(SYS_tgkill, pid, pid, SIGCHLD), 0);
	assert_int_equal(syscall(SYS_tgkill, pid, pid, SIGUSR2), 0);
	assert_false(ipcfs_caller_interrupted(pid));
	assert_int_equal(syscall(SYS_tgkill, pid, pid, SIGTERM), 0);
	assert_true(ipcfs_caller_interrupted(pid));
	deaf_child_end(child);
}

/* Exits, or is killed, but stays a zombie until child_end. */
static pid_t zombie_start(bool (*body)(void), int signal)
{
	siginfo_t info;
	pid_t pid = signal ? child_start(body) : fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(3);
	}
	if (signal)
		kill(pid, signal);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static bool nothing(void)
{
	return true;
}

/* A stopped process does not take a signal that would end it. */
static void a_stopped_child_that_is_to_end(void **state)
{
	pid_t pid = child_start(nothing);
	bool ends, interrupted;
	enum ipcfs_interrupt why;
	int status;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	ends = ipcfs_caller_ends(pid);
	assert_int_equal(kill(pid, SIGTERM), 0);
	interrupted = ipcfs_caller_interrupted(pid);
	why = ipcfs_caller_interrupt(pid, false);
	assert_false(ends);
	ends = ipcfs_caller_ends(pid);
	child_end(pid);
	assert_true(ends);
	assert_true(interrupted);
	assert_int_equal(why, IPCFS_INTERRUPT_END);
}

static bool take_odd_name(void)
{
	return prctl(PR_SET_NAME, "a) Z 1 (1 0 4 )") == 0;
}

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *exit_all(void *arg)
{
	(void)arg;
	_exit(4);
}

static bool start_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, wait_for_ever, NULL) == 0;
}

static bool let_thread_exit(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exit_all, NULL) == 0)
		wait_for_ever(NULL);
	return false;
}

static void check_zombie(bool (*body)(void), int signal, bool dying)
{
	pid_t pid = zombie_start(body, signal);
	bool got = ipcfs_caller_state(pid) == IPCFS_CALLER_KILLED,
	     interrupted = ipcfs_caller_interrupted(pid);

	child_end(pid);
	assert_true(interrupted);
	assert_int_equal(got, dying);
}

static void dying(void **state)
{
	pid_t alive = child_start(nothing), odd = child_start(take_odd_name);

	(void)state;
	assert_int_equal(ipcfs_caller_state(alive), IPCFS_CALLER_RUNNING);
	assert_int_equal(ipcfs_caller_state(odd), IPCFS_CALLER_RUNNING);
	child_end(alive);
	child_end(odd);
	assert_int_equal(ipcfs_caller_state(gettid()), IPCFS_CALLER_RUNNING);
	assert_int_equal(ipcfs_caller_state(pid_of_nobody()), IPCFS_CALLER_KILLED);
	/* It cannot be told. */
	assert_int_equal(ipcfs_caller_state(0), IPCFS_CALLER_RUNNING);

	check_zombie(nothing, 0, false);
	check_zombie(take_odd_name, 0, false);
	check_zombie(nothing, SIGKILL, true);
	check_zombie(take_odd_name, SIGKILL, true);
	check_zombie(nothing, SIGTERM, true);
	check_zombie(nothing, SIGINT, true);
	check_zombie(start_thread, SIGKILL, true);
	/* The kernel ends the waiting thread as by SIGKILL. */
	check_zombie(let_thread_exit, 0, false);
}

static void gone_is_interrupted(void **state)
{
	(void)state;
	assert_true(ipcfs_caller_interrupted(0));
	assert_true(ipcfs_caller_interrupted(pid_of_nobody()));
	assert_false(ipcfs_caller_interrupted(gettid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pending_signals),
		cmocka_unit_test(what_is_caught_does_not_end),
		cmocka_unit_test(pending_for_the_thread),
		cmocka_unit_test(why_a_wait_was_interrupted),
		cmocka_unit_test(a_stopped_child_that_is_to_end),
		cmocka_unit_test(dying),
		cmocka_unit_test(gone_is_interrupted),
	};

	/* So that no grandchild is left behind. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
