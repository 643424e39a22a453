/* SPDX-License-Identifier: MIT */
/*
 * In which user namespaces capabilities count: compared with the rule, and with what the kernel
 * says of namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/caller/authority.h"
#include "children.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { INNER = 10, MIDDLE, OUTER, ELSEWHERE };
enum { INNER_OWNER = 100, MIDDLE_OWNER, OUTER_OWNER, STRANGER };

static const struct ipcfs_authority nested = {
	3,
	{ { INNER, INNER_OWNER }, { MIDDLE, MIDDLE_OWNER }, { OUTER, OUTER_OWNER } },
};

static void who_has_what(void **state)
{
	static const struct {
		uint64_t user_ns;
		uid_t uid;
		uint64_t caps, expected;
	} cases[] = {
		/* in one of the chain: the capabilities that the caller has */
		{ INNER, STRANGER, 5, 5 },
		{ MIDDLE, STRANGER, 5, 5 },
		{ OUTER, STRANGER, 5, 5 },
		{ OUTER, STRANGER, 0, 0 },
		/* the maker of the one below, from around it */
		{ MIDDLE, INNER_OWNER, 0, UINT64_MAX },
		{ OUTER, MIDDLE_OWNER, 0, UINT64_MAX },
		/* not from inside, not from further away, not for the outermost */
		{ INNER, INNER_OWNER, 5, 5 },
		{ OUTER, INNER_OWNER, 5, 5 },
		{ MIDDLE, MIDDLE_OWNER, 0, 0 },
		{ OUTER, OUTER_OWNER, 0, 0 },
		/* in another user namespace, and in an unknown one */
		{ ELSEWHERE, STRANGER, UINT64_MAX, 0 },
		{ ELSEWHERE, INNER_OWNER, UINT64_MAX, 0 },
		{ 0, INNER_OWNER, UINT64_MAX, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ipcfs_caller caller = { .uid = cases[i].uid,
					       .loaded = true,
					       .caps = cases[i].caps,
					       .user_ns = cases[i].user_ns };

		assert_true(ipcfs_authority_caps(&nested, &caller) == cases[i].expected);
		caller.loaded = false;
		assert_true(ipcfs_authority_caps(&nested, &caller) == 0);
	}
}

static void the_unknown_has_none(void **state)
{
	static const struct ipcfs_authority empty = { 0 };
	/*
	 * An unknown user namespace is not that of an unknown caller, and an unknown maker is no
	 * caller.
	 */
	static const struct ipcfs_authority unknown = { 2, { { 0, (uid_t)-1 }, { OUTER, 0 } } };
	struct ipcfs_caller caller = { .uid = (uid_t)-1, .loaded = true, .caps = 5 };

	(void)state;
	assert_true(ipcfs_authority_caps(&unknown, &caller) == 0);
	caller.user_ns = OUTER;
	assert_true(ipcfs_authority_caps(&unknown, &caller) == 5);
	assert_true(ipcfs_authority_caps(&empty, &caller) == 0);
	assert_true(ipcfs_authority_caps(NULL, &caller) == 0);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void our_own(void **state)
{
	struct ipcfs_authority own;

	(void)state;
	ipcfs_authority_own(&own);
	assert_int_equal(own.count, 1);
	assert_true(own.chain[0].user_ns == inode_of("/proc/self/ns/user"));
	assert_int_equal(own.chain[0].owner, (uid_t)-1);
}

static bool put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	return file && fputs(text, file) >= 0 && !fclose(file);
}

/* A process without ids in the user namespace around cannot make one. */
static bool enter_two_user_namespaces(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1\n", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", getegid());
	return !unshare(CLONE_NEWUSER) && put("/proc/self/uid_map", uids) &&
	       put("/proc/self/setgroups", "deny") && put("/proc/self/gid_map", gids) &&
	       !unshare(CLONE_NEWUSER | CLONE_NEWIPC);
}

static bool enter_ipc_namespace(void)
{
	return !unshare(CLONE_NEWUSER | CLONE_NEWIPC);
}

static int read_of(pid_t process, struct ipcfs_authority *authority)
{
	char path[64];
	int fd, error;

	snprintf(path, sizeof(path), "/proc/%d/ns/ipc", process);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	error = ipcfs_authority_read(fd, authority);
	close(fd);
	return error;
}

static void what_the_kernel_tells(void **state)
{
	pid_t child = child_start(enter_ipc_namespace);
	struct ipcfs_authority authority;
	char path[64];

	(void)state;
	if (!child)
		skip();
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	assert_int_equal(read_of(child, &authority), 0);
	assert_int_equal(authority.count, 2);
	assert_true(authority.chain[0].user_ns == inode_of(path));
	assert_int_equal(authority.chain[0].owner, geteuid());
	assert_true(authority.chain[1].user_ns == inode_of("/proc/self/ns/user"));
	child_end(child);

	child = child_start(enter_two_user_namespaces);
	if (!child)
		skip();
	assert_int_equal(read_of(child, &authority), 0);
	assert_int_equal(authority.count, 3);
	assert_int_equal(authority.chain[1].owner, geteuid());
	assert_true(authority.chain[2].user_ns == inode_of("/proc/self/ns/user"));
	child_end(child);
}

/* An IPC namespace of the outside: exit status 0 if it is not shown. */
static void not_those_outside(void **state)
{
	struct ipcfs_authority authority = { .count = 7 };
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		if (unshare(CLONE_NEWUSER))
			_exit(77);
		_exit(read_of(getpid(), &authority) == -EPERM && authority.count == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_is_no_namespace(void **state)
{
	struct ipcfs_authority authority = { .count = 7 };
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ipcfs_authority_read(-1, &authority), -EBADF);
	assert_int_equal(authority.count, 0);
	assert_int_equal(ipcfs_authority_read(file, &authority), -ENOTTY);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_what),	     cmocka_unit_test(the_unknown_has_none),
		cmocka_unit_test(our_own),	     cmocka_unit_test(what_the_kernel_tells),
		cmocka_unit_test(not_those_outside), cmocka_unit_test(what_is_no_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
