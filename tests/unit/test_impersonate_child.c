/* SPDX-License-Identifier: MIT */
/* The child processes that act for callers of another user namespace. */
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "backends/caller/act_as.h"
#include "backends/caller/impersonate_child.h"
#include "container.h"

struct look {
	char status[2048];
	pid_t pid, parent;
	uid_t ruid, uid;
	int dumpable, death_signal;
	struct stat user_ns, ipc_ns;
	bool traced;
	int refused; /* calls that fail with ENOSYS */
};

/* A test may do more than system calls: nothing else runs here. */
static int look_at_oneself(void *arg)
{
	struct look *look = arg;

	credentials(look->status);
	look->pid = getpid();
	look->parent = getppid();
	look->ruid = getuid();
	look->uid = geteuid();
	look->refused = (socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == ENOSYS) +
			(setresuid(-1, -1, -1) < 0 && errno == ENOSYS) +
			(msgrcv(-1, NULL, 0, 0, 0) < 0 && errno == ENOSYS) +
			(process_vm_readv(getppid(), NULL, 0, NULL, 0, 0) < 0 && errno == ENOSYS);
	look->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	if (prctl(PR_GET_PDEATHSIG, &look->death_signal, 0, 0, 0) ||
	    stat("/proc/self/ns/user", &look->user_ns) || stat("/proc/self/ns/ipc", &look->ipc_ns))
		return -errno;
	return 5;
}

static void a_stand_in_is_the_caller(void **state)
{
	struct stat users, objects;
	struct ipcfs_caller caller;
	struct look look = { 0 };
	char before[2048], after[2048];

	(void)state;
	start_caller(&roles[5], &caller);
	credentials(before);
	assert_int_equal(ipcfs_act_as(&caller, look_at_oneself, &look, sizeof(look)), 5);
	assert_string_equal(credentials(after), before);
	end_caller(&caller);
	assert_int_equal(fstat(user_ns, &users), 0);
	assert_int_equal(fstat(ipc_ns, &objects), 0);
	assert_int_not_equal(look.pid, getpid());
	assert_int_equal(look.parent, getpid());
	assert_int_equal(look.ruid, OTHER);
	assert_int_equal(look.uid, OTHER);
	assert_int_equal(look.refused, 4);
	assert_int_equal(look.dumpable, 0);
	assert_int_equal(look.death_signal, SIGKILL);
	assert_true(look.user_ns.st_ino == users.st_ino);
	assert_true(look.ipc_ns.st_ino == objects.st_ino);
	assert_non_null(strstr(look.status, "Uid:\t8\t8\t8\t8\n"));
	assert_non_null(strstr(look.status, "Gid:\t8\t8\t8\t8\n"));
	assert_non_null(strstr(look.status, "Groups:\t \n"));
	assert_non_null(strstr(look.status, "CapInh:\t0000000000000000\n"));
	assert_non_null(strstr(look.status, "CapPrm:\t000000000000000a\n"));
	assert_non_null(strstr(look.status, "CapEff:\t000000000000000a\n"));
}

/* As root of the container, with all capabilities there. */
static bool trace(pid_t pid)
{
	static const char *const names[] = { "mem", "fd", "environ", "maps" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (open_of(pid, names[i]) >= 0 || errno != EACCES)
			return true;
	return ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0 || errno != EPERM;
}

/* While the child works, another process of the container tries to reach it. */
static int be_traced(void *arg)
{
	struct look *look = arg;
	pid_t self = getpid(), child;
	int status;

	child = fork();
	if (child == 0)
		_exit(trace(self));
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	look->traced = WEXITSTATUS(status);
	return 0;
}

static void nobody_traces_a_stand_in(void **state)
{
	struct ipcfs_caller caller;
	struct look look = { 0 };

	(void)state;
	start_caller(&roles[0], &caller);
	assert_int_equal(ipcfs_act_as(&caller, be_traced, &look, sizeof(look)), 0);
	assert_false(look.traced);
	end_caller(&caller);
}

static int be_stopped(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		if (kill(getpid(), SIGSTOP))
			return -errno;
	return 5;
}

static int be_stopped_for_ever(void *arg)
{
	while (!kill(getpid(), SIGSTOP))
		*(int *)arg += 1;
	return -errno;
}

static int be_killed(void *arg)
{
	*(int *)arg = 1;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static int be_terminated(void *arg)
{
	(void)arg;
	return kill(getpid(), SIGTERM) ? -errno : 5; /* the signal is blocked */
}

#define LAST 40 /* descriptors up to this one are in use */
#define FREE 20 /* but for this one, which the next open gets */

static int find_descriptors(void *arg)
{
	uint64_t *found = arg;

	for (int fd = 0; fd <= LAST; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			*found |= UINT64_C(1) << fd;
	return 0;
}

static void a_bare_stand_in_has_no_descriptor_of_the_daemon(void **state)
{
	static const size_t inside_and_outside[] = { 5, 8 };
	int fd = 0, first = fcntl(STDIN_FILENO, F_DUPFD, 3);

	(void)state;
	assert_true(first > 0 && first < FREE);
	while (fd < LAST)
		fd = fcntl(STDIN_FILENO, F_DUPFD, 3);
	close(FREE);
	for (size_t i = 0; i < 2; i++) {
		struct ipcfs_caller caller;
		const struct ipcfs_child_terms terms = { .caller = &caller, .bare = true };
		uint64_t found = 0;

		start_caller(&roles[inside_and_outside[i]], &caller);
		assert_int_equal(ipcfs_impersonate_child(&terms, find_descriptors, &found,
							 sizeof(found)),
				 0);
		end_caller(&caller);
		/* at most that of the user namespace that it has joined */
		assert_int_equal(found & ~(UINT64_C(1) << FREE), 0);
	}
	for (fd = first; fd <= LAST; fd++)
		close(fd);
}

static void a_stand_in_can_be_lost(void **state)
{
	struct ipcfs_caller caller;
	int arg = 0;

	(void)state;
	start_caller(&roles[0], &caller);
	assert_int_equal(ipcfs_act_as(&caller, be_stopped, &arg, sizeof(arg)), 5);
	assert_int_equal(ipcfs_act_as(&caller, be_terminated, &arg, sizeof(arg)), 5);
	assert_int_equal(ipcfs_act_as(&caller, be_stopped_for_ever, &arg, sizeof(arg)), -EINTR);
	assert_int_equal(ipcfs_act_as(&caller, be_killed, &arg, sizeof(arg)), -EINTR);
	end_caller(&caller);
}

static int succeed(void *arg)
{
	(void)arg;
	return 0;
}

static bool be_elsewhere(void)
{
	return !unshare(CLONE_NEWUSER);
}

static void who_is_gone_has_no_stand_in(void **state)
{
	pid_t elsewhere = child_start(be_elsewhere), tid;
	struct ipcfs_caller caller;

	(void)state;
	assert_true(elsewhere > 0);
	start_caller(&roles[0], &caller);
	tid = caller.tid;
	assert_int_equal(ipcfs_act_as(&caller, succeed, NULL, 0), 0);
	/* The number is another process's now, of another user namespace. */
	caller.tid = elsewhere;
	assert_int_equal(ipcfs_act_as(&caller, succeed, NULL, 0), -EPERM);
	child_end(elsewhere);
	child_end(tid);
	caller.tid = tid;
	assert_int_equal(ipcfs_act_as(&caller, succeed, NULL, 0), -EPERM);
	ipcfs_caller_free(&caller);

	/* The maker of the container, inside without a capability. */
	caller = (struct ipcfs_caller){ .uid = MADE_BY, .gid = MADE_BY, .tid = tid };
	assert_int_equal(ipcfs_caller_load(&caller), 0);
	assert_int_equal(ipcfs_act_as(&caller, succeed, NULL, 0), -EPERM);
	assert_int_equal(ipcfs_impersonate_child(&(struct ipcfs_child_terms){ .caller = &caller },
						 succeed, NULL, 0),
			 -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stand_in_is_the_caller),
		cmocka_unit_test(nobody_traces_a_stand_in),
		cmocka_unit_test(a_bare_stand_in_has_no_descriptor_of_the_daemon),
		cmocka_unit_test(a_stand_in_can_be_lost),
		cmocka_unit_test(who_is_gone_has_no_stand_in),
	};

	return cmocka_run_group_tests(tests, enter_container, leave_container);
}
