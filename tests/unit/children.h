/* SPDX-License-Identifier: MIT */
/* Child processes, for the tests of callers. */
#ifndef TEST_CHILDREN_H
#define TEST_CHILDREN_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Starts a child that does `body`, reports whether it worked, and waits to be killed. */
static inline pid_t child_start(bool (*body)(void))
{
	int ready[2];
	char went_well = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		if (!body() || write(ready[1], "+", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &went_well, 1) != 1)
		went_well = 0;
	close(ready[0]);
	if (!went_well) {
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		return 0;
	}
	return pid;
}

static inline void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Returns a process id that no process has. */
static inline pid_t pid_of_nobody(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

#endif
