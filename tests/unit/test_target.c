/* SPDX-License-Identifier: MIT */
/* Which processes can be the target; no other process can take the place of the target. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/space/target.h"

static pid_t start_child(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		for (;;)
			pause();
	return child;
}

static void end_child(pid_t child)
{
	siginfo_t info;

	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
}

static bool none_known(dev_t device)
{
	(void)device;
	return false;
}

static void a_process_is_held_until_it_ends(void **state)
{
	pid_t child = start_child();
	struct ipcfs_target target;
	struct pollfd ended = { .events = POLLIN };
	struct stat st;
	dev_t device;

	(void)state;
	assert_int_equal(ipcfs_target_open(child, &target), 0);
	assert_int_equal(fstatat(target.proc, "status", &st, 0), 0);
	ended.fd = target.pidfd;
	assert_int_equal(poll(&ended, 1, 0), 0);
	end_child(child);
	assert_int_equal(poll(&ended, 1, -1), 1);
	/* A zombie has no namespaces. */
	assert_int_equal(ipcfs_target_join(&target), -ESRCH);
	assert_int_equal(ipcfs_target_shm(&target, none_known, &device), -1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(ipcfs_target_join(&target), -ESRCH);
	assert_int_equal(ipcfs_target_shm(&target, none_known, &device), -1);
	ipcfs_target_close(&target);
	assert_int_equal(target.pidfd, -1);
	assert_int_equal(target.proc, -1);
}

static void what_has_ended_is_none(void **state)
{
	pid_t child = start_child();
	struct ipcfs_target target;

	(void)state;
	end_child(child);
	assert_int_equal(ipcfs_target_open(child, &target), -ESRCH);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(ipcfs_target_open(child, &target), -ESRCH);
	assert_int_equal(target.pidfd, -1);
	assert_int_equal(target.proc, -1);
	assert_int_equal(ipcfs_target_open(0, &target), -EINVAL);
	assert_int_equal(ipcfs_target_open(-1, &target), -EINVAL);
}

static void *open_this_thread(void *arg)
{
	struct ipcfs_target target;

	*(int *)arg = ipcfs_target_open((pid_t)syscall(SYS_gettid), &target);
	return NULL;
}

static void a_thread_is_none(void **state)
{
	pthread_t thread;
	int result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, open_this_thread, &result), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(result, -EINVAL);
}

/* Where kernel threads can be seen, the first one is 2. */
static void a_kernel_thread_is_none(void **state)
{
	char name[32] = "";
	struct ipcfs_target target;
	int fd = open("/proc/2/comm", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (fd >= 0) {
		assert_true(read(fd, name, sizeof(name) - 1) >= 0);
		close(fd);
	}
	if (strcmp(name, "kthreadd\n") == 0)
		assert_int_equal(ipcfs_target_open(2, &target), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_held_until_it_ends),
		cmocka_unit_test(what_has_ended_is_none),
		cmocka_unit_test(a_thread_is_none),
		cmocka_unit_test(a_kernel_thread_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
