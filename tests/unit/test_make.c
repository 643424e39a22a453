/* SPDX-License-Identifier: MIT */
/* Making, removing and changing objects, and limits, with the caller's credentials. Needs root. */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backends/contract/limits.h"
#include "ipc.h"

static struct ipcfs_caller rightless_root(void)
{
	struct ipcfs_caller caller = root_caller();

	caller.caps = 0;
	return caller;
}

static void makers_own_what_they_make(void **state)
{
	char before[2048], after[2048];

	(void)state;
	credentials(before);
	FOR_EACH_KIND(class)
	{
		struct ipcfs_spec spec = spec_for(class, name_for(class, 3));
		struct ipcfs_caller caller = other_caller();
		const char *limit = NULL;
		struct ipcfs_info info;

		spec.given = IPCFS_SPEC_MODE;
		spec.mode = 0777; /* no object has x bits */
		umask(077);
		assert_int_equal(class->make(space, &spec, &caller, &info, &limit), 0);
		umask(022);
		assert_null(limit);
		assert_int_equal(info.perm.uid, OTHER_UID);
		assert_int_equal(info.perm.gid, OTHER_GID);
		assert_int_equal(info.perm.cuid, OTHER_UID);
		assert_int_equal(info.perm.cgid, OTHER_GID);
		assert_int_equal(info.perm.mode, 0666);
		assert_int_equal(remove_as(other_caller(), class, &info), 0);
	}
	assert_string_equal(credentials(after), before);
	assert_true(waitpid(-1, NULL, WNOHANG) < 0);
}

static void others_may_neither_remove_nor_change(void **state)
{
	char before[2048], after[2048];

	(void)state;
	credentials(before);
	FOR_EACH_KIND(class)
	{
		struct ipcfs_change changes[] = {
			{ .mask = IPCFS_CHANGE_MODE, .mode = 0666 },
			{ .mask = IPCFS_CHANGE_UID, .uid = OTHER_UID },
			{ .mask = IPCFS_CHANGE_GID, .gid = OTHER_GID },
			{ .mask = IPCFS_CHANGE_TIMES, .times = { { .tv_sec = 5 } } },
		};
		struct ipcfs_caller callers[] = { rightless_root(), other_caller() };
		struct ipcfs_info info, now;

		callers[1].uid = callers[1].ruid = OTHER_UID + 1;
		assert_int_equal(make_as(other_caller(), class, name_for(class, 4), &info), 0);
		for (int i = 0; i < 2; i++) {
			/* The owner of the directory of all POSIX queues may unlink any of them. */
			if (callers[i].uid || class->by_id)
				assert_int_equal(remove_as(callers[i], class, &info), -EPERM);
			/* System V objects have no times that could be set. */
			for (int j = 0; j < 4; j++)
				assert_int_equal(class->change(space, &info.ref, &changes[j],
							       &callers[i]),
						 class->by_id && j == 3 ? -EINVAL : -EPERM);
		}
		assert_int_equal(class->stat(space, &info.ref, &now), 0);
		assert_memory_equal(&now, &info, sizeof(now));

		/* It was the capability that was missing. */
		callers[0].caps = (uint64_t)1 << CAP_SYS_ADMIN | (uint64_t)1 << CAP_FOWNER;
		assert_int_equal(remove_as(callers[0], class, &info), 0);
	}
	assert_string_equal(credentials(after), before);
}

static void unloaded_callers_may_nothing(void **state)
{
	(void)state;
	FOR_EACH_KIND(class)
	{
		struct ipcfs_caller caller = root_caller();
		struct ipcfs_info info;

		caller.loaded = false;
		assert_int_equal(make_as(caller, class, name_for(class, 5), &info), -EPERM);
		assert_int_equal(make(class, name_for(class, 5), &info), 0);
		assert_int_equal(remove_as(caller, class, &info), -EPERM);
		remove_it(class, &info);
	}
}

static void owners_change_theirs(void **state)
{
	(void)state;
	FOR_EACH_KIND(class)
	{
		gid_t groups[] = { 77, 88 };
		struct ipcfs_change change = {
			.mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_GID,
			.mode = 0777,
			.gid = 88,
		};
		struct ipcfs_caller owner = other_caller();
		struct ipcfs_info info, now;

		owner.ngroups = 2;
		owner.groups = groups;
		assert_int_equal(make_as(owner, class, name_for(class, 6), &info), 0);
		assert_int_equal(class->change(space, &info.ref, &change, &owner), 0);
		assert_int_equal(class->stat(space, &info.ref, &now), 0);
		assert_int_equal(now.perm.mode, 0666);
		assert_int_equal(now.perm.gid, 88);
		assert_int_equal(now.perm.uid, OTHER_UID);
		remove_it(class, &info);
	}
}

static void a_failed_change_changes_nothing(void **state)
{
	struct ipcfs_change change = {
		.mask = IPCFS_CHANGE_MODE | IPCFS_CHANGE_GID,
		.mode = 0666,
		.gid = 99, /* not the owner's */
	};
	struct ipcfs_caller owner = other_caller();
	struct ipcfs_info info, now;

	(void)state;
	assert_int_equal(make_as(owner, &ipcfs_posix_mq, "whole", &info), 0);
	assert_int_equal(ipcfs_posix_mq.change(space, &info.ref, &change, &owner), -EPERM);
	assert_int_equal(ipcfs_posix_mq.stat(space, &info.ref, &now), 0);
	assert_memory_equal(&now.perm, &info.perm, sizeof(now.perm));
	remove_it(&ipcfs_posix_mq, &info);
}

static void queue_sizes_are_kept(void **state)
{
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MAX_BYTES, .max_bytes = 4000 };
	struct ipcfs_caller owner = other_caller();
	struct ipcfs_spec spec = spec_for(&ipcfs_sysv_msg, "private");
	const char *limit = NULL;
	struct ipcfs_info info;
	int counts[3] = { 0 };

	(void)state;
	spec.given = IPCFS_SPEC_MAX_BYTES;
	spec.max_bytes = 5000;
	assert_int_equal(ipcfs_sysv_msg.make(space, &spec, &owner, &info, &limit), 0);
	assert_int_equal(info.max_bytes, 5000);
	assert_int_equal(ipcfs_sysv_msg.change(space, &info.ref, &change, &owner), 0);
	assert_int_equal(ipcfs_sysv_msg.stat(space, &info.ref, &info), 0);
	assert_int_equal(info.max_bytes, 4000);
	change.max_bytes = 1 << 20; /* above msgmnb */
	assert_int_equal(ipcfs_sysv_msg.change(space, &info.ref, &change, &owner), -EPERM);
	change.max_bytes = 0;
	assert_int_equal(ipcfs_sysv_msg.change(space, &info.ref, &change, &owner), -ERANGE);
	remove_it(&ipcfs_sysv_msg, &info);

	spec.max_bytes = 1 << 20;
	assert_int_equal(ipcfs_sysv_msg.make(space, &spec, &owner, &info, &limit), -EPERM);
	spec.max_bytes = 0;
	assert_int_equal(ipcfs_sysv_msg.make(space, &spec, &owner, &info, &limit), -ERANGE);
	assert_int_equal(ipcfs_walk_all(&ipcfs_sysv_msg, space, count, counts), 0);
	assert_int_equal(counts[0], 0);
}

static int make_sized(uint64_t messages, uint64_t message, struct ipcfs_info *info)
{
	struct ipcfs_spec spec = spec_for(&ipcfs_posix_mq, "sized");
	struct ipcfs_caller owner = other_caller();
	const char *limit = NULL;

	spec.max_messages = messages;
	spec.max_message = message;
	spec.given = (messages ? IPCFS_SPEC_MAX_MESSAGES : 0) |
		     (message ? IPCFS_SPEC_MAX_MESSAGE : 0);
	return ipcfs_posix_mq.make(space, &spec, &owner, info, &limit);
}

static void posix_attributes_are_kept(void **state)
{
	static const struct {
		uint64_t messages, message;
		const char *first, *second;
	} samples[] = {
		{ 0, 0, "max_messages=10\n", "max_message_size=8192\n" },
		{ 3, 100, "max_messages=3\n", "max_message_size=100\n" },
		{ 3, 0, "max_messages=3\n", "max_message_size=8192\n" },
		{ 0, 100, "max_messages=10\n", "max_message_size=100\n" },
	};
	struct ipcfs_info info;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		assert_int_equal(make_sized(samples[i].messages, samples[i].message, &info), 0);
		assert_true(status_says(&ipcfs_posix_mq, &info.ref, samples[i].first));
		assert_true(status_says(&ipcfs_posix_mq, &info.ref, samples[i].second));
		remove_it(&ipcfs_posix_mq, &info);
	}
	assert_int_equal(make_sized(11, 0, &info), -ERANGE); /* above msg_max */
	assert_int_equal(make_sized(UINT64_MAX, 1, &info), -ERANGE);
	assert_int_equal(make_sized(LONG_MAX, LONG_MAX, &info), -ERANGE);
}

static int limit_queues(int bytes)
{
	struct rlimit limit = { .rlim_cur = (rlim_t)bytes, .rlim_max = (rlim_t)bytes };

	return setrlimit(RLIMIT_MSGQUEUE, &limit);
}

static void queues_are_charged_to_the_caller(void **state)
{
	struct ipcfs_spec spec = spec_for(&ipcfs_posix_mq, "charged");
	struct ipcfs_caller caller = other_caller();
	const char *limit = NULL;
	struct ipcfs_info info;

	(void)state;
	caller.tid = start_process(limit_queues, 500);
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), -ENOSPC);
	assert_string_equal(limit, "RLIMIT_MSGQUEUE");
	spec.given = IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE;
	spec.max_messages = 2;
	spec.max_message = 100;
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), 0);
	assert_null(limit);

	/* Now the real uid has used its share; another one has not. */
	snprintf(spec.name, sizeof(spec.name), "more");
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), -ENOSPC);
	caller.ruid = OTHER_UID + 1;
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), 0);
	assert_int_equal(info.perm.uid, OTHER_UID);
	remove_it(&ipcfs_posix_mq, &info);
	assert_int_equal(ipcfs_posix_mq.find(space, "charged", &info), 0);
	remove_it(&ipcfs_posix_mq, &info);
	end_process(caller.tid);

	/* A caller that has ended has no limit that could be kept. */
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), -EPERM);
	caller.tid = 0;
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), -EPERM);
}

static void full_tables_name_their_limit(void **state)
{
	static const char *const limits[] = { "mq_queues_max", "msgmni", "shmmni" };
	static const struct ipcfs_class *const kinds[] = { &ipcfs_posix_mq, &ipcfs_sysv_msg,
							   &ipcfs_sysv_shm };
	struct ipcfs_caller root = root_caller();

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct ipcfs_spec spec = spec_for(kinds[i], name_for(kinds[i], 9));
		struct ipcfs_caller owner = other_caller();
		const struct ipcfs_limit *limit = ipcfs_limits;
		struct ipcfs_text before = { 0 }, now = { 0 };
		const char *reached = NULL;
		struct ipcfs_info info;

		while (strcmp(limit->name, limits[i]) != 0)
			limit++;
		assert_int_equal(ipcfs_limit_read(limit, &before), 0);
		assert_int_equal(ipcfs_limit_write(limit, &root, "0\n", 2), 0);
		assert_int_equal(ipcfs_limit_read(limit, &now), 0);
		assert_int_equal(now.size, 2);
		assert_memory_equal(now.data, "0\n", 2);
		assert_int_equal(kinds[i]->make(space, &spec, &owner, &info, &reached), -ENOSPC);
		assert_string_equal(reached, limits[i]);
		assert_int_equal(ipcfs_limit_write(limit, &root, before.data, before.size), 0);
		assert_int_equal(kinds[i]->make(space, &spec, &owner, &info, &reached), 0);
		remove_it(kinds[i], &info);
		ipcfs_text_free(&before);
		ipcfs_text_free(&now);
	}
}

static int set_limit(const char *name, struct ipcfs_caller caller, const char *value)
{
	const struct ipcfs_limit *limit = ipcfs_limits;

	while (strcmp(limit->name, name) != 0)
		limit++;
	return ipcfs_limit_write(limit, &caller, value, strlen(value));
}

static void limits_are_checked(void **state)
{
	static const char *const malformed[] = {
		"", "\n", " ", "x", "1x", "-1", "+1", "1 2", "1\n2", "1\n\n", "0x10", "1.5",
	};

	const struct ipcfs_caller other = other_caller(), root = root_caller();

	(void)state;
	for (const struct ipcfs_limit *limit = ipcfs_limits; limit->name; limit++) {
		struct ipcfs_text text = { 0 };

		assert_int_equal(ipcfs_limit_read(limit, &text), 0);
		assert_int_equal(text.data[text.size - 1], '\n');
		assert_int_equal(set_limit(limit->name, other_caller(), "1"), -EACCES);
		assert_int_equal(ipcfs_limit_check(limit, &other), -EACCES);
		assert_int_equal(ipcfs_limit_check(limit, &root), 0);
		ipcfs_text_free(&text);
	}
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_int_equal(set_limit("msgmax", root_caller(), malformed[i]), -EINVAL);
	assert_int_equal(set_limit("msgmax", root_caller(), "99999999999999999999999"), -ERANGE);
	assert_int_equal(set_limit("msgmax", root_caller(), "4294967296"), -EINVAL);
	assert_int_equal(set_limit("msgmax", root_caller(), " 8192 \n"), 0);
	assert_int_equal(set_limit("sem", root_caller(), "32000 1024000000 500 32000"), 0);
	assert_int_equal(set_limit("sem", root_caller(), "1 2 3 4 5"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makers_own_what_they_make),
		cmocka_unit_test(others_may_neither_remove_nor_change),
		cmocka_unit_test(unloaded_callers_may_nothing),
		cmocka_unit_test(owners_change_theirs),
		cmocka_unit_test(a_failed_change_changes_nothing),
		cmocka_unit_test(queue_sizes_are_kept),
		cmocka_unit_test(posix_attributes_are_kept),
		cmocka_unit_test(queues_are_charged_to_the_caller),
		cmocka_unit_test(full_tables_name_their_limit),
		cmocka_unit_test(limits_are_checked),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
