/* SPDX-License-Identifier: MIT */
/* Taking a caller's ids for a moment, on one thread. Needs root. */
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "backends/caller/act_as.h"
#include "ipc.h"

static gid_t two_groups[] = { 77, 88 };

static struct ipcfs_caller grouped_caller(void)
{
	struct ipcfs_caller caller = other_caller();

	caller.ngroups = 2;
	caller.groups = two_groups;
	caller.caps = (uint64_t)1 << CAP_FOWNER;
	return caller;
}

static int credentials_of_work(void *text)
{
	credentials(text);
	return geteuid() == OTHER_UID ? 5 : -1;
}

static void *credentials_of_thread(void *text)
{
	credentials(text);
	return NULL;
}

static void only_this_thread_changes(void **state)
{
	char before[2048], during[2048], elsewhere[2048], after[2048];
	struct ipcfs_caller caller = grouped_caller();
	pthread_t thread;

	(void)state;
	credentials(before);
	assert_int_equal(ipcfs_act_as(&caller, credentials_of_work, during, sizeof(during)), 5);
	assert_string_equal(credentials(after), before);

	assert_non_null(strstr(during, "Uid:\t0\t4711\t0\t4711\n"));
	assert_non_null(strstr(during, "Gid:\t0\t4712\t0\t4712\n"));
	assert_non_null(strstr(during, "Groups:\t77 88 \n"));
	assert_non_null(strstr(during, "CapEff:\t0000000000000008\n"));

	assert_int_equal(pthread_create(&thread, NULL, credentials_of_thread, elsewhere), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(elsewhere, before);
}

/* Capabilities of another user namespace are not taken on the daemon's threads. */
static void foreign_callers_have_no_capabilities(void **state)
{
	struct ipcfs_caller caller = grouped_caller();
	char during[2048];

	(void)state;
	caller.foreign = true;
	assert_int_equal(ipcfs_act_as(&caller, credentials_of_work, during, sizeof(during)), 5);
	assert_non_null(strstr(during, "CapEff:\t0000000000000000\n"));
}

static int must_not_run(void *arg)
{
	(void)arg;
	return 0;
}

static void impossible_callers_change_nothing(void **state)
{
	char before[2048], after[2048];

	(void)state;
	credentials(before);
	for (int i = 0; i < 4; i++) {
		struct ipcfs_caller caller = grouped_caller();

		switch (i) {
		case 0:
			caller.loaded = false;
			break;
		case 1:
			caller.uid = (uid_t)-1;
			break;
		case 2:
			caller.gid = (gid_t)-1;
			break;
		case 3:
			caller.ruid = (uid_t)-1;
			break;
		}
		assert_int_equal(ipcfs_act_as(&caller, must_not_run, NULL, 0), -EPERM);
		assert_string_equal(credentials(after), before);
	}
}

/* Runs in a process of its own, which can give up what the test still needs. */
static void in_process(bool (*body)(void))
{
	int result;
	pid_t child = fork();

	if (!child)
		_exit(body() ? 0 : 1);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result));
	assert_int_equal(WEXITSTATUS(result), 0);
}

static bool give_up_root(void)
{
	return !setgroups(2, two_groups) && !setresgid(OTHER_GID, OTHER_GID, OTHER_GID) &&
	       !setresuid(OTHER_UID, OTHER_UID, OTHER_UID);
}

static int is_caller(void *arg)
{
	const struct ipcfs_caller *caller = arg;

	return geteuid() == caller->uid && getegid() == caller->gid ? 0 : -ENOTRECOVERABLE;
}

/* Refused ids, and ids that were taken and given back, leave no trace. */
static int try_caller(struct ipcfs_caller caller)
{
	char before[2048], after[2048];
	int error;

	credentials(before);
	error = ipcfs_act_as(&caller, is_caller, &caller, sizeof(caller));
	return strcmp(credentials(after), before) ? -ENOTRECOVERABLE : error;
}

static bool act_without_privilege(void)
{
	struct ipcfs_caller same = grouped_caller(), other = grouped_caller();
	struct ipcfs_caller fewer = other_caller(), more = grouped_caller();
	gid_t groups[] = { 99, 88, 77, OTHER_GID };

	if (!give_up_root())
		return false;
	other.uid++;
	more.groups = groups;
	more.ngroups = 4;
	return !try_caller(same) && !try_caller(more) && try_caller(other) == -EPERM &&
	       try_caller(fewer) == -EPERM && try_caller(root_caller()) == -EPERM;
}

static void without_privilege_only_ones_own_kind(void **state)
{
	(void)state;
	in_process(act_without_privilege);
}

static bool become_user_with(uint32_t capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = {
		{ .effective = capabilities, .permitted = capabilities },
	};

	return !prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) && give_up_root() &&
	       !syscall(SYS_capset, &header, sets) && !prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
}

/* Like a service that runs as a user and was given capabilities. */
static bool act_with_capabilities_only(void)
{
	if (!become_user_with(1 << CAP_SETUID | 1 << CAP_SETGID | 1 << CAP_FOWNER))
		return false;
	for (int i = 0; i < 3; i++)
		if (try_caller(root_caller()) || try_caller(other_caller()) ||
		    try_caller(grouped_caller()))
			return false;
	return true;
}

/* Groups and gid can be taken, the uid cannot. */
static bool stumble_half_way(void)
{
	return become_user_with(1 << CAP_SETGID) && try_caller(root_caller()) == -EPERM &&
	       try_caller(other_caller()) == 0;
}

static void half_an_identity_is_none(void **state)
{
	(void)state;
	in_process(stumble_half_way);
}

static void capabilities_survive_being_root(void **state)
{
	(void)state;
	in_process(act_with_capabilities_only);
}

static bool make_without_privilege(void)
{
	struct ipcfs_caller other = grouped_caller();

	other.uid = other.ruid = OTHER_UID + 1;
	if (!give_up_root())
		return false;
	for (int i = 0; ipcfs_classes[i]; i++) {
		const struct ipcfs_class *class = ipcfs_classes[i];
		struct ipcfs_info info;

		if (make_as(other, class, name_for(class, 1), &info) != -EPERM ||
		    make_as(root_caller(), class, name_for(class, 1), &info) != -EPERM ||
		    make_as(grouped_caller(), class, name_for(class, 1), &info) ||
		    info.perm.uid != OTHER_UID || remove_as(other, class, &info) != -EPERM ||
		    remove_as(grouped_caller(), class, &info))
			return false;
	}
	return true;
}

static void making_without_privilege(void **state)
{
	(void)state;
	in_process(make_without_privilege);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_this_thread_changes),
		cmocka_unit_test(foreign_callers_have_no_capabilities),
		cmocka_unit_test(impossible_callers_change_nothing),
		cmocka_unit_test(without_privilege_only_ones_own_kind),
		cmocka_unit_test(capabilities_survive_being_root),
		cmocka_unit_test(half_an_identity_is_none),
		cmocka_unit_test(making_without_privilege),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
