/* SPDX-License-Identifier: MIT */
/* What the daemon may call once it serves, and what it may not. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/sandbox.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition,                \
				strerrorname_np(errno));                                           \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)
#define REFUSED(call)                                                                              \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK((call) == -1 && errno == ENOSYS);                                            \
	} while (0)

static void *in_thread(void *arg)
{
	return arg;
}

static int allowed(void)
{
	static char byte = 'b';
	char *memory, other;
	struct iovec here = { &other, 1 }, there = { &byte, 1 };
	pthread_t thread;
	void *result;
	pid_t child;
	int fd;

	CHECK(pthread_create(&thread, NULL, in_thread, &byte) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == &byte);
	child = fork();
	if (child == 0)
		_exit(7);
	CHECK(child > 0 && waitpid(child, &fd, 0) == child && WEXITSTATUS(fd) == 7);
	memory = malloc(1024 * 1024);
	CHECK(memory);
	free(memory);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, &other, 1) == 1 && close(fd) == 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 && other == byte);
	CHECK(process_vm_writev(getpid(), &here, 1, &there, 1, 0) == 1);
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	return 0;
}

static int refused(void)
{
	char *const arguments[] = { (char *)(uintptr_t) "true", NULL };
	char byte = 'b';
	struct iovec here = { &byte, 1 };
	void *page;

	REFUSED(execv("/bin/true", arguments));
	REFUSED(unshare(CLONE_NEWNS));
	REFUSED(setns(0, 0));
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0));
	REFUSED(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, 0));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(mount("none", "/mnt", "tmpfs", 0, NULL));
	REFUSED(syscall(SYS_fsopen, "tmpfs", 0));
	REFUSED(chroot("/"));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(ioctl(STDIN_FILENO, TIOCSTI, "x"));
	REFUSED(prctl(PR_SET_SECCOMP, 0));
	REFUSED(syscall(SYS_prlimit64, getppid(), 0, NULL, NULL));
	REFUSED(process_vm_writev(getppid(), &here, 1, &here, 1, 0));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_init_module, NULL, 0, ""));
	REFUSED(syscall(SYS_open_by_handle_at, 0, NULL, 0));
	page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page == MAP_FAILED && errno == ENOSYS);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	CHECK(mprotect(page, 4096, PROT_READ) == 0);
	return 0;
}

/* There is no way back, so in a process of its own. */
static void in_sandbox(int (*body)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    ipcfs_sandbox_enter(false, false) < 0)
			_exit(2);
		_exit(body());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_it_needs_works(void **state)
{
	(void)state;
	in_sandbox(allowed);
}

static void the_rest_is_refused(void **state)
{
	(void)state;
	in_sandbox(refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_needs_works),
		cmocka_unit_test(the_rest_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
