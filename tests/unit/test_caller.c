/* SPDX-License-Identifier: MIT */
/* Real threads as /proc shows them. Tests that need root are skipped without it. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/caller.h"
#include "children.h"
#include "fs/access/caller.h"

#define MANY_GROUPS 20000

static struct ipcfs_caller load(uid_t uid, gid_t gid, pid_t tid)
{
	struct ipcfs_caller caller = { .uid = uid, .gid = gid, .tid = tid };

	/* The fields of a caller that is not loaded mean nothing. */
	caller.groups = (gid_t *)1;
	caller.ngroups = 77;
	caller.map = (struct ipcfs_id_map *)1;
	caller.foreign = true;
	caller.user_ns = 77;
	assert_int_equal(ipcfs_caller_load(&caller), 0);
	assert_true(caller.loaded);
	return caller;
}

static void assert_unknown(uid_t uid, gid_t gid, pid_t tid)
{
	struct ipcfs_caller caller = load(uid, gid, tid);

	assert_int_equal(caller.ruid, uid);
	assert_int_equal(caller.rgid, gid);
	assert_int_equal(caller.ngroups, 0);
	assert_null(caller.groups);
	assert_true(caller.caps == 0);
	assert_true(caller.user_ns == 0);
	assert_false(caller.foreign);
	assert_null(caller.map);
	ipcfs_caller_free(&caller);
}

static uint64_t user_namespace(pid_t tid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", tid);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static int compare_gids(const void *a, const void *b)
{
	gid_t left = *(const gid_t *)a, right = *(const gid_t *)b;

	return left < right ? -1 : left > right;
}

static void assert_own_groups(const struct ipcfs_caller *caller)
{
	int count = getgroups(0, NULL);
	gid_t *groups = calloc((size_t)count + 1, sizeof(*groups));

	assert_non_null(groups);
	assert_int_equal(getgroups(count, groups), count);
	assert_int_equal(caller->ngroups, count);
	if (count) {
		qsort(groups, (size_t)count, sizeof(*groups), compare_gids);
		qsort(caller->groups, (size_t)count, sizeof(*groups), compare_gids);
		assert_memory_equal(groups, caller->groups, (size_t)count * sizeof(*groups));
	}
	free(groups);
}

static uint64_t own_caps(void)
{
	uint64_t caps = 0;
	unsigned long long value;
	char line[256];
	FILE *file = fopen("/proc/thread-self/status", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &value) == 1)
			caps = value;
	fclose(file);
	return caps;
}

static void loading_oneself(void **state)
{
	struct ipcfs_caller caller = load(geteuid(), getegid(), gettid());

	(void)state;
	assert_int_equal(caller.ruid, getuid());
	assert_int_equal(caller.rgid, getgid());
	assert_true(caller.caps == own_caps());
	assert_true(caller.user_ns == user_namespace(getpid()));
	assert_false(caller.foreign);
	assert_null(caller.map);
	assert_own_groups(&caller);
	/* A loaded caller stays as it is. */
	caller.tid = 0;
	caller.ruid = 4711;
	assert_int_equal(ipcfs_caller_load(&caller), 0);
	assert_int_equal(caller.ruid, 4711);

	ipcfs_caller_free(&caller);
	assert_false(caller.loaded);
	assert_null(caller.groups);
	assert_int_equal(caller.uid, geteuid());
	/* Again; and for a caller that never was loaded, whose groups mean nothing. */
	ipcfs_caller_free(&caller);
	caller.groups = (gid_t *)1;
	ipcfs_caller_free(&caller);
	assert_null(caller.groups);
}

static void younger_threads_are_others(void **state)
{
	struct ipcfs_caller caller = { .uid = geteuid(), .gid = getegid(), .tid = gettid() };
	const struct timespec ticks = { .tv_nsec = 50000000 };

	(void)state;
	caller.before = 1;
	assert_int_equal(ipcfs_caller_load(&caller), 0);
	assert_int_equal(caller.ngroups, 0);
	assert_true(caller.caps == 0);
	ipcfs_caller_free(&caller);
	(void)nanosleep(&ticks, NULL);
	caller.before = ipcfs_caller_clock();
	assert_int_equal(ipcfs_caller_load(&caller), 0);
	assert_own_groups(&caller);
	assert_true(caller.caps == own_caps());
	ipcfs_caller_free(&caller);
}

static void unknown_callers(void **state)
{
	(void)state;
	assert_unknown(1000, 2000, 0);
	assert_unknown(1000, 2000, -1);
	assert_unknown(1000, 2000, pid_of_nobody());
	/* A thread that has another user now. */
	assert_unknown(geteuid() + 1, getegid(), gettid());
	assert_unknown(geteuid(), getegid() + 1, gettid());
}

static bool take_many_groups(void)
{
	gid_t *groups = calloc(MANY_GROUPS, sizeof(*groups));

	if (!groups)
		return false;
	for (size_t i = 0; i < MANY_GROUPS; i++)
		groups[i] = (gid_t)(1000000 + 3 * i);
	return setgroups(MANY_GROUPS, groups) == 0;
}

static void many_groups(void **state)
{
	pid_t child = child_start(take_many_groups);
	struct ipcfs_caller caller;

	(void)state;
	if (!child)
		skip();
	caller = load(geteuid(), getegid(), child);
	assert_int_equal(caller.ngroups, MANY_GROUPS);
	for (size_t i = 0; i < MANY_GROUPS; i++)
		assert_int_equal(caller.groups[i], 1000000 + 3 * i);
	/* Lines behind the groups are found, too. */
	assert_true(caller.caps == own_caps());
	assert_false(ipcfs_caller_interrupted(child));
	ipcfs_caller_free(&caller);
	child_end(child);
}

static bool become_user(void)
{
	return setgroups(0, NULL) == 0 && setresgid(2001, 2002, 2003) == 0 &&
	       setresuid(1001, 1002, 1003) == 0;
}

static void other_user(void **state)
{
	pid_t child = child_start(become_user);
	struct ipcfs_caller caller;

	(void)state;
	if (!child)
		skip();
	caller = load(1002, 2002, child);
	assert_int_equal(caller.ruid, 1001);
	assert_int_equal(caller.rgid, 2001);
	assert_int_equal(caller.ngroups, 0);
	assert_true(caller.caps == 0);
	ipcfs_caller_free(&caller);
	assert_unknown(1001, 2002, child);
	assert_unknown(1003, 2002, child);
	assert_unknown(0, 0, child);
	child_end(child);
}

/*
 * A thread of a file server acts for a user by file system ids alone, and its requests have them.
 */
static bool become_user_for_files(void)
{
	setfsgid(2004);
	setfsuid(1004);
	return setfsuid((uid_t)-1) == 1004 && setfsgid((gid_t)-1) == 2004;
}

static void file_system_ids_count(void **state)
{
	uid_t uid = getuid();
	pid_t child = child_start(become_user_for_files);
	struct ipcfs_caller caller;

	(void)state;
	if (!child)
		skip();
	caller = load(1004, 2004, child);
	assert_int_equal(caller.ruid, uid);
	ipcfs_caller_free(&caller);
	assert_unknown(geteuid(), getegid(), child);
	child_end(child);
}

/* As a worker of io_uring has, but this is none. */
static bool block_all_signals(void)
{
	uint64_t all = UINT64_MAX;

	return syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, sizeof(all)) == 0;
}

static void threads_that_block_all_signals(void **state)
{
	pid_t child = child_start(block_all_signals);
	struct ipcfs_caller caller;

	(void)state;
	if (!child)
		skip();
	caller = load(geteuid(), getegid(), child);
	assert_true(caller.caps == own_caps());
	assert_own_groups(&caller);
	ipcfs_caller_free(&caller);
	child_end(child);
}

/* A kernel thread has all capabilities, which are nobody's. */
static void kernel_threads(void **state)
{
	struct ipcfs_caller caller = load(0, 0, 2);
	char name[32] = "";
	FILE *file = fopen("/proc/2/comm", "re");

	(void)state;
	if (file && fgets(name, sizeof(name), file) && strcmp(name, "kthreadd\n") == 0)
		assert_true(caller.caps == 0);
	if (file)
		fclose(file);
	ipcfs_caller_free(&caller);
}

static void rights_within_others(void **state)
{
	gid_t groups[] = { 10, 20, 30 };
	const struct ipcfs_caller outer = {
		.uid = 1,
		.gid = 2,
		.loaded = true,
		.caps = 6,
		.user_ns = 9,
		.ngroups = 2,
		.groups = groups,
	};
	struct ipcfs_caller inner = outer;

	(void)state;
	assert_true(ipcfs_caller_is_within(&inner, &outer));
	inner.ngroups = 3;
	assert_false(ipcfs_caller_is_within(&inner, &outer));
	inner.ngroups = 0;
	inner.caps = 2;
	assert_true(ipcfs_caller_is_within(&inner, &outer));
	assert_false(ipcfs_caller_is_within(&outer, &inner));
	inner.caps = 3;
	assert_false(ipcfs_caller_is_within(&inner, &outer));
	inner.caps = 0;
	inner.uid = 0;
	assert_false(ipcfs_caller_is_within(&inner, &outer));
	inner.uid = 1;
	inner.gid = 0;
	assert_false(ipcfs_caller_is_within(&inner, &outer));
	inner.gid = 2;
	inner.user_ns = 0;
	assert_false(ipcfs_caller_is_within(&inner, &outer));
}

static bool write_map(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	return file && fputs(text, file) >= 0 && !fclose(file);
}

/* Our uid is 7 there, our gid 8, and there are no other ids. */
static bool enter_user_namespace(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "7 %u 1\n", geteuid());
	snprintf(gids, sizeof(gids), "8 %u 1\n", getegid());
	return unshare(CLONE_NEWUSER) == 0 && write_map("/proc/self/uid_map", uids) &&
	       write_map("/proc/self/setgroups", "deny") && write_map("/proc/self/gid_map", gids);
}

static void callers_of_another_user_namespace(void **state)
{
	pid_t child = child_start(enter_user_namespace);
	struct ipcfs_caller caller;
	uid_t inside;

	(void)state;
	if (!child)
		skip();
	caller = load(geteuid(), getegid(), child);
	assert_true(caller.caps & 1);
	assert_true(caller.foreign);
	assert_true(caller.user_ns == user_namespace(child));
	assert_true(caller.user_ns != user_namespace(getpid()));
	assert_int_equal(caller.ruid, getuid());
	assert_int_equal(ipcfs_id_map_uid(caller.map, geteuid(), &inside), 0);
	assert_int_equal(inside, 7);
	assert_int_equal(ipcfs_id_map_gid(caller.map, getegid(), &inside), 0);
	assert_int_equal(inside, 8);
	assert_false(ipcfs_id_map_has_uid(caller.map, geteuid() + 1));
	ipcfs_caller_free(&caller);
	child_end(child);
}

static bool enter_empty_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

/* The caller has no ids there, and none of its capabilities counts for a file. */
static void user_namespaces_without_ids(void **state)
{
	pid_t child = child_start(enter_empty_user_namespace);
	struct ipcfs_caller caller;

	(void)state;
	if (!child)
		skip();
	caller = load(geteuid(), getegid(), child);
	assert_true(caller.foreign);
	assert_false(ipcfs_id_map_has_uid(caller.map, geteuid()));
	assert_false(ipcfs_id_map_has_gid(caller.map, getegid()));
	ipcfs_caller_free(&caller);
	child_end(child);
}

/*
 * Without CAP_SYS_PTRACE the kernel does not show a process that has more capabilities: exit status
 * 0, or 77 if it cannot be tried here.
 */
static int load_parent_without_ptrace(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct ipcfs_caller caller;

	if (syscall(SYS_capget, &header, data) || !(data[0].effective >> CAP_SYS_PTRACE & 1))
		return 77;
	data[0].effective = data[0].permitted &= ~(1U << CAP_SYS_PTRACE);
	if (syscall(SYS_capset, &header, data))
		return 77;
	caller = load(geteuid(), getegid(), getppid());
	return caller.caps == 0 && caller.user_ns == 0 && !caller.foreign ? 0 : 1;
}

static void unseen_user_namespaces(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(load_parent_without_ptrace());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

struct other_thread {
	pthread_barrier_t barrier;
	pid_t tid;
	bool changed;
};

static void *thread_of_another(void *arg)
{
	struct other_thread *other = arg;

	other->tid = gettid();
	/* The system call changes this thread only. */
	other->changed = syscall(SYS_setresuid, -1, 1005, -1) == 0;
	pthread_barrier_wait(&other->barrier);
	pthread_barrier_wait(&other->barrier);
	return NULL;
}

static void threads_are_callers(void **state)
{
	struct other_thread other;
	pthread_t thread;
	bool was_root = geteuid() == 0;

	(void)state;
	assert_int_equal(pthread_barrier_init(&other.barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, thread_of_another, &other), 0);
	pthread_barrier_wait(&other.barrier);
	if (was_root && other.changed) {
		struct ipcfs_caller caller = load(1005, getegid(), other.tid);

		assert_int_equal(caller.ruid, getuid());
		assert_true(caller.caps == 0);
		assert_own_groups(&caller);
		ipcfs_caller_free(&caller);
		assert_unknown(geteuid(), getegid(), other.tid);
	}
	assert_false(ipcfs_caller_interrupted(other.tid));
	pthread_barrier_wait(&other.barrier);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&other.barrier);
}

/* Without descriptors nothing is learnt, and no caller loses a right or a message by it. */
static void no_descriptors_left(void **state)
{
	struct ipcfs_caller caller = { .uid = geteuid(), .gid = getegid(), .tid = gettid() };
	struct rlimit was, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

	int loaded = ipcfs_caller_load(&caller);
	bool interrupted = ipcfs_caller_interrupted(caller.tid);
	bool dying = ipcfs_caller_state(caller.tid) == IPCFS_CALLER_KILLED;

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(loaded, -ENOMEM);
	assert_false(caller.loaded);
	assert_false(interrupted);
	assert_false(dying);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loading_oneself),
		cmocka_unit_test(younger_threads_are_others),
		cmocka_unit_test(unknown_callers),
		cmocka_unit_test(many_groups),
		cmocka_unit_test(other_user),
		cmocka_unit_test(file_system_ids_count),
		cmocka_unit_test(threads_that_block_all_signals),
		cmocka_unit_test(kernel_threads),
		cmocka_unit_test(rights_within_others),
		cmocka_unit_test(callers_of_another_user_namespace),
		cmocka_unit_test(user_namespaces_without_ids),
		cmocka_unit_test(unseen_user_namespaces),
		cmocka_unit_test(threads_are_callers),
		cmocka_unit_test(no_descriptors_left),
	};

	/* So that no grandchild is left behind. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
