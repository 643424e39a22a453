/* SPDX-License-Identifier: MIT */
/* Which calls the daemon may make once it serves, and which not. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
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
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/daemon/sandbox.h"

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

/* The process that sends leased messages, which has CAP_IPC_OWNER. */
static int in_leases(void)
{
	struct {
		long type;
		char text[1];
	} message = { .type = 1 };
	const struct timespec moment = { .tv_nsec = 1 };
	struct msqid_ds ds;

	CHECK(ipcfs_sandbox_leases() == 0);
	/* EINVAL and EBADF are the kernel's answers for no queue */
	CHECK(msgsnd(-1, &message, 1, IPC_NOWAIT) == -1 && errno == EINVAL);
	CHECK(mq_send(-1, message.text, 1, 0) == -1 && errno == EBADF);
	CHECK(msgctl(-1, IPC_STAT, &ds) == -1 && errno == EINVAL);
	CHECK(nanosleep(&moment, NULL) == 0);
	REFUSED(msgctl(-1, IPC_RMID, NULL));
	REFUSED(msgctl(-1, IPC_SET, &ds));
	REFUSED(msgrcv(-1, &message, 1, 0, IPC_NOWAIT));
	REFUSED(msgget(1, IPC_CREAT));
	REFUSED(semget(1, 1, IPC_CREAT));
	REFUSED(shmget(1, 1, IPC_CREAT));
	REFUSED((int)mq_receive(-1, message.text, 1, NULL));
	REFUSED(open("/", O_RDONLY | O_CLOEXEC));
	REFUSED((int)write(STDERR_FILENO, "", 1));
	REFUSED((int)syscall(SYS_pwrite64, 1, "", 1, 0));
	REFUSED(socket(AF_UNIX, SOCK_DGRAM, 0));
	REFUSED(kill(getpid(), 0));
	REFUSED(fork());
	REFUSED(setuid(0));
	REFUSED((int)syscall(SYS_capset, NULL, NULL));
	REFUSED(prctl(PR_SET_DUMPABLE, 1));
	return 0;
}

/* The process for inotify(7), which makes and removes directories of the mount. */
static int in_echo(void)
{
	CHECK(ipcfs_sandbox_echo() == 0);
	CHECK(mkdirat(-1, "none", 0700) == -1 && errno == EBADF);
	CHECK(unlinkat(-1, "none", AT_REMOVEDIR) == -1 && errno == EBADF);
	CHECK(open("/", O_PATH | O_CLOEXEC) >= 0);
	REFUSED((int)write(STDERR_FILENO, "", 1));
	REFUSED(socket(AF_UNIX, SOCK_DGRAM, 0));
	REFUSED(kill(getpid(), 0));
	REFUSED(fork());
	REFUSED(msgget(1, IPC_CREAT));
	REFUSED(setuid(0));
	return 0;
}

/* The filter cannot be taken back, so in a process of its own. */
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

static void the_process_that_sends_leases_sends_only(void **state)
{
	(void)state;
	in_sandbox(in_leases);
}

static void the_process_for_inotify_makes_and_removes_only(void **state)
{
	(void)state;
	in_sandbox(in_echo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_needs_works),
		cmocka_unit_test(the_rest_is_refused),
		cmocka_unit_test(the_process_that_sends_leases_sends_only),
		cmocka_unit_test(the_process_for_inotify_makes_and_removes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
