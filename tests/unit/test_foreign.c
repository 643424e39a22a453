/* SPDX-License-Identifier: MIT */
/*
 * The work of the daemon for callers of another user namespace, compared with the same done there
 * by the callers themselves.
 */
#include "backends/contract/limits.h"
#include "container.h"

/* A request; the ids in `gives` are those inside. */
struct wish {
	const char *name;
	enum { REMOVE, CHANGE, SET_LIST } what;
	struct ipcfs_change gives;
};

static const struct wish wishes[] = {
	{ "rmdir", REMOVE, { 0 } },
	{ "chmod", CHANGE, { .mask = IPCFS_CHANGE_MODE, .mode = 0640 } },
	{ "chown", CHANGE, { .mask = IPCFS_CHANGE_UID, .uid = OTHER } },
	{ "chown to oneself", CHANGE, { .mask = IPCFS_CHANGE_UID, .uid = OWNER } },
	{ "chgrp", CHANGE, { .mask = IPCFS_CHANGE_GID, .gid = GROUP } },
	{ "chown to another range", CHANGE, { .mask = IPCFS_CHANGE_UID, .uid = 5000 } },
	{ "all", CHANGE, { IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID, 0644, OTHER, 0, 0, { { 0 } } } },
	{ "touch", CHANGE, { .mask = IPCFS_CHANGE_TIMES, .times = { { .tv_sec = 5 } } } },
	{ "setfacl", SET_LIST, { 0 } },
};

static struct ipcfs_acl_entry entries[] = {
	{ .tag = IPCFS_ACL_USER_OBJ, .perm = 6 }, { .tag = IPCFS_ACL_USER, .perm = 4 },
	{ .tag = IPCFS_ACL_GROUP_OBJ },		  { .tag = IPCFS_ACL_GROUP, .perm = 6 },
	{ .tag = IPCFS_ACL_MASK, .perm = 6 },	  { .tag = IPCFS_ACL_OTHER },
};
static const struct ipcfs_acl list = { COUNT(entries), entries };

/* With ids of inside (base 0) or outside. */
static int grant(const struct wish *wish, const struct ipcfs_class *class,
		 const struct ipcfs_ref *ref, const struct ipcfs_caller *caller, uid_t base)
{
	struct ipcfs_change change = wish->gives;

	if (wish->what == REMOVE)
		return class->remove(space, ref, caller);
	change.uid = change.uid == 5000 && base ? 30000 : base + change.uid;
	change.gid += base;
	if (wish->what == CHANGE)
		return class->change(space, ref, &change, caller);
	entries[1].id = base + OTHER;
	entries[3].id = base + GROUP;
	return class->set_acl(space, ref, &list, caller);
}

/* Directly: in the container, if the caller is there, with ids as they are there. */
static int ask_kernel(const struct role *role, const struct wish *wish,
		      const struct ipcfs_class *class, const struct ipcfs_ref *ref)
{
	struct ipcfs_caller self = { .uid = role->uid,
				     .gid = role->uid,
				     .ruid = role->uid,
				     .rgid = role->uid,
				     .loaded = true,
				     .caps = UINT64_MAX,
				     .user_ns = 1 /* it is there already */ };
	gid_t group = role->group;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	self.ngroups = group != 0;
	self.groups = &group;
	if (child == 0) {
		starting = role;
		/* otherwise its /proc/self/fd is root's, because it has changed its ids */
		if (!be_role() || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
			_exit(255);
		_exit(-grant(wish, class, ref, &self, role->outside ? BASE : 0));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return -WEXITSTATUS(status);
}

/* Reads what the object is like now, from outside. 0: it is gone. */
static size_t describe(const struct ipcfs_class *class, const struct ipcfs_ref *ref, char *text,
		       size_t capacity)
{
	struct ipcfs_acl acl = { 0 };
	struct ipcfs_info info;
	size_t size = 0;

	text[0] = '\0';
	if (class->stat(space, ref, &info))
		return 0;
	size = (size_t)snprintf(text, capacity, "%u:%u %o", info.perm.uid, info.perm.gid,
				info.perm.mode);
	if (class->acl)
		assert_int_equal(class->acl(space, ref, &acl), 0);
	for (size_t i = 0; i < acl.count; i++)
		size += (size_t)snprintf(text + size, capacity - size, " %x:%u:%o",
					 acl.entries[i].tag, acl.entries[i].id,
					 acl.entries[i].perm);
	ipcfs_acl_free(&acl);
	return size;
}

static void make_owned(const struct ipcfs_class *class, struct ipcfs_info *info)
{
	struct ipcfs_caller owner;

	start_caller(&roles[2], &owner);
	assert_int_equal(make_as(owner, class, name_for(class, 1), info), 0);
	assert_int_equal(info->perm.uid, BASE + OWNER);
	assert_int_equal(info->perm.gid, BASE + OWNER);
	assert_int_equal(info->perm.cuid, BASE + OWNER);
	end_caller(&owner);
}

static void compare(const struct ipcfs_class *class, const struct role *role,
		    const struct wish *wish)
{
	char by_kernel[512], by_us[512];
	struct ipcfs_caller caller;
	struct ipcfs_info info;
	int expected, error;

	make_owned(class, &info);
	expected = ask_kernel(role, wish, class, &info.ref);
	if (describe(class, &info.ref, by_kernel, sizeof(by_kernel)))
		remove_it(class, &info);

	make_owned(class, &info);
	start_caller(role, &caller);
	error = grant(wish, class, &info.ref, &caller, BASE);
	end_caller(&caller);
	if (describe(class, &info.ref, by_us, sizeof(by_us)))
		remove_it(class, &info);
	if (error != expected || strcmp(by_us, by_kernel) != 0)
		fail_msg("%s/%s, %s, %s: %s, %s; the kernel: %s, %s", class->family, class->name,
			 role->name, wish->name, strerror(-error), by_us, strerror(-expected),
			 by_kernel);
}

static void the_kernel_says_the_same(void **state)
{
	(void)state;
	FOR_EACH_KIND(class)
	for (size_t r = 0; r < COUNT(roles); r++)
		for (size_t w = 0; w < COUNT(wishes); w++)
			if (wishes[w].what != SET_LIST || class->set_acl)
				compare(class, &roles[r], &wishes[w]);
}

/* Also compared with the expected values. */
static void who_may_remove(void **state)
{
	static const bool may[COUNT(roles)] = { true,  false, true,  false, true, false,
						false, true,  false, false, true, false };
	struct ipcfs_info info;

	(void)state;
	for (size_t r = 0; r < COUNT(roles); r++) {
		struct ipcfs_caller caller;

		make_owned(&ipcfs_sysv_msg, &info);
		start_caller(&roles[r], &caller);
		assert_int_equal(remove_as(caller, &ipcfs_sysv_msg, &info), may[r] ? 0 : -EPERM);
		if (!may[r])
			remove_it(&ipcfs_sysv_msg, &info);
		end_caller(&caller);
	}
	assert_true(waitpid(-1, NULL, WNOHANG) <= 0);
}

static void what_is_not_mapped(void **state)
{
	(void)state;
	FOR_EACH_KIND(class)
	{
		struct ipcfs_change away = { .mask = IPCFS_CHANGE_UID, .uid = STRANGER };
		struct ipcfs_change mode = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
		struct ipcfs_caller root = root_caller(), inside;
		struct ipcfs_info info;

		make_owned(class, &info);
		start_caller(&roles[0], &inside);
		assert_int_equal(class->change(space, &info.ref, &away, &inside), -EINVAL);
		away.mask = IPCFS_CHANGE_GID;
		away.gid = STRANGER;
		assert_int_equal(class->change(space, &info.ref, &away, &inside), -EINVAL);
		if (class->set_acl) {
			entries[1].id = STRANGER;
			entries[3].id = BASE + GROUP;
			assert_int_equal(class->set_acl(space, &info.ref, &list, &inside), -EINVAL);
		}
		/*
		 * Root of a container may not change or keep an object whose owner has no id
		 * inside.
		 */
		away.mask = IPCFS_CHANGE_GID;
		away.gid = BASE + GROUP;
		assert_int_equal(class->change(space, &info.ref, &mode, &inside), 0);
		if (class->rule == IPCFS_RULE_FILE) {
			away.mask = IPCFS_CHANGE_UID;
			assert_int_equal(class->change(space, &info.ref, &away, &root), 0);
			assert_int_equal(class->change(space, &info.ref, &mode, &inside), -EPERM);
		}
		remove_it(class, &info);
		end_caller(&inside);
	}
}

/* IPC_SET sets both ids, so the one that stays has to be passed as well. */
static void kept_owners_need_a_number(void **state)
{
	struct ipcfs_change mode = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
	struct ipcfs_change away[] = {
		{ .mask = IPCFS_CHANGE_UID, .uid = STRANGER },
		{ .mask = IPCFS_CHANGE_GID, .gid = STRANGER },
	};
	struct ipcfs_caller root = root_caller(), inside;
	struct ipcfs_info info, now;

	(void)state;
	start_caller(&roles[0], &inside);
	for (size_t i = 0; i < COUNT(away); i++) {
		make_owned(&ipcfs_sysv_sem, &info);
		assert_int_equal(ipcfs_sysv_sem.change(space, &info.ref, &mode, &inside), 0);
		mode.mode = 0600;
		assert_int_equal(ipcfs_sysv_sem.change(space, &info.ref, &away[i], &root), 0);
		assert_int_equal(ipcfs_sysv_sem.change(space, &info.ref, &mode, &inside),
				 -EOVERFLOW);
		assert_int_equal(ipcfs_sysv_sem.stat(space, &info.ref, &now), 0);
		assert_int_equal(now.perm.mode, 0666);
		mode.mode = 0666;
		assert_int_equal(remove_as(inside, &ipcfs_sysv_sem, &info), 0);
	}
	end_caller(&inside);
}

static void limits_are_the_containers(void **state)
{
	const struct ipcfs_limit *limit = ipcfs_limits;
	struct ipcfs_text before = { 0 }, now = { 0 };

	(void)state;
	while (strcmp(limit->name, "msgmni") != 0)
		limit++;
	assert_int_equal(ipcfs_limit_read(limit, &before), 0);
	for (size_t r = 0; r < COUNT(roles); r++) {
		struct ipcfs_caller caller;
		int error;

		start_caller(&roles[r], &caller);
		error = ipcfs_limit_write(limit, &caller, "77\n", 3);
		assert_int_equal(ipcfs_limit_check(limit, &caller), error);
		end_caller(&caller);
		/* The container's root, with or without capabilities: the files are its own. */
		assert_int_equal(error, outside_uid(&roles[r]) == BASE ? 0 : -EACCES);
	}
	assert_int_equal(ipcfs_limit_read(limit, &now), 0);
	assert_int_equal(now.size, 3);
	assert_memory_equal(now.data, "77\n", 3);
	ipcfs_text_free(&before);
	ipcfs_text_free(&now);
}

static int make_charged(const struct role *role, const char *name, struct ipcfs_info *info)
{
	static const struct rlimit room_for_one = { 6000, 6000 };
	struct ipcfs_spec spec = spec_for(&ipcfs_posix_mq, name);
	struct ipcfs_caller caller;
	const char *limit = NULL;
	int error;

	spec.given = IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE;
	spec.max_messages = 1;
	spec.max_message = 4000;
	limited = &room_for_one;
	start_caller(role, &caller);
	limited = NULL;
	error = ipcfs_posix_mq.make(space, &spec, &caller, info, &limit);
	end_caller(&caller);
	if (error == -ENOSPC)
		assert_string_equal(limit, "RLIMIT_MSGQUEUE");
	return error;
}

/* The limit of the user in the container, who is another user than the same uid outside. */
static void queues_are_charged_in_the_container(void **state)
{
	const struct role *inside = &roles[3], *outside = &roles[11];
	struct ipcfs_info info[3];

	(void)state;
	assert_int_equal(outside_uid(inside), outside_uid(outside));
	assert_int_equal(make_charged(inside, "first", &info[0]), 0);
	assert_int_equal(info[0].perm.uid, BASE + OTHER);
	assert_int_equal(make_charged(inside, "second", &info[1]), -ENOSPC);
	assert_int_equal(make_charged(outside, "third", &info[2]), 0);
	remove_it(&ipcfs_posix_mq, &info[2]);
	remove_it(&ipcfs_posix_mq, &info[0]);
	assert_int_equal(make_charged(inside, "second", &info[1]), 0);
	remove_it(&ipcfs_posix_mq, &info[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_says_the_same),
		cmocka_unit_test(who_may_remove),
		cmocka_unit_test(what_is_not_mapped),
		cmocka_unit_test(kept_owners_need_a_number),
		cmocka_unit_test(limits_are_the_containers),
		cmocka_unit_test(queues_are_charged_in_the_container),
	};

	return cmocka_run_group_tests(tests, enter_container, leave_container);
}
