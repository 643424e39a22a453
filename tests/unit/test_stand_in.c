/* SPDX-License-Identifier: MIT */
/*
 * What is done for callers of another user namespace, against the same done there by themselves. There is a
 * container, with user and IPC namespaces of its own and made by a user, and processes in it that are the
 * callers; somebody from outside, who is in its IPC namespace only, acts for them. Needs root.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "backends/id_map.h"
#include "backends/identity.h"
#include "backends/stand_in.h"
#include "children.h"
#include "fs/caller.h"
#include "ipc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The ids inside are those from here on outside, but for the last. */
#define BASE 20000
#define MAPPED 1000
#define MADE_BY (BASE + 500)
#define STRANGER 30001

enum { OWNER = 7, OTHER = 8, GROUP = 9 };

static const char uid_map[] = "0 20000 1000\n5000 30000 1\n";
static const char gid_map[] = "0 20000 1000\n";

static pid_t container;
static int user_ns, ipc_ns;

static bool set_caps(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct halves[2] = {
		{ .effective = (uint32_t)caps, .permitted = (uint32_t)caps },
		{ .effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32) },
	};
	struct __user_cap_data_struct have[2];

	if (syscall(SYS_capget, &header, have))
		return false;
	for (int i = 0; i < 2; i++)
		halves[i].effective = halves[i].permitted &= have[i].permitted;
	return !syscall(SYS_capset, &header, halves);
}

static bool become(uid_t uid, gid_t gid, uint64_t caps)
{
	return !prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) && !setgroups(0, NULL) &&
	       !setresgid(gid, gid, gid) && !setresuid(uid, uid, uid) && set_caps(caps);
}

/* The namespaces belong to who makes them. */
static bool be_container(void)
{
	return become(MADE_BY, MADE_BY, UINT64_MAX) && !unshare(CLONE_NEWUSER | CLONE_NEWIPC);
}

static bool put(pid_t process, const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
	file = fopen(path, "we");
	return file && fputs(text, file) >= 0 && !fclose(file);
}

static int open_of(pid_t process, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Those who ask. Ids are those inside; `outside` ones are not in the container. */
struct role {
	const char *name;
	uid_t uid;
	uint64_t caps;
	bool outside;
};

#define SOME ((uint64_t)1 << CAP_FOWNER | (uint64_t)1 << CAP_DAC_OVERRIDE)

static const struct role roles[] = {
	{ "container root", 0, UINT64_MAX, false },
	{ "container root without capabilities", 0, 0, false },
	{ "the objects' owner", OWNER, 0, false },
	{ "another user", OTHER, 0, false },
	{ "another user with CAP_SYS_ADMIN", OTHER, (uint64_t)1 << CAP_SYS_ADMIN, false },
	{ "another user with other capabilities", OTHER, SOME, false },
	{ "who made the container, inside", MADE_BY - BASE, 0, false },
	{ "who made the container, outside", MADE_BY, 0, true },
	{ "a stranger", STRANGER, 0, true },
	{ "root of outside without capabilities", 0, 0, true },
};

static const struct role *starting;

static bool be_role(void)
{
	if (!starting->outside && (setns(user_ns, CLONE_NEWUSER) || setns(ipc_ns, CLONE_NEWIPC)))
		return false;
	return become(starting->uid, starting->uid, starting->caps);
}

static uid_t outside_uid(const struct role *role)
{
	return role->outside ? role->uid : BASE + role->uid;
}

/* A process that waits as one who asked does; ended with child_end(caller->tid). */
static void start_caller(const struct role *role, struct ipcfs_caller *caller)
{
	starting = role;
	*caller = (struct ipcfs_caller){
		.uid = outside_uid(role),
		.gid = outside_uid(role),
		.tid = child_start(be_role),
	};
	assert_true(caller->tid > 0);
	assert_int_equal(ipcfs_caller_load(caller), 0);
	assert_int_equal(caller->foreign, !role->outside);
	assert_int_equal(!caller->caps, !role->caps);
}

static void end_caller(struct ipcfs_caller *caller)
{
	child_end(caller->tid);
	ipcfs_caller_free(caller);
}

static int enter_container(void **state)
{
	(void)state;
	container = child_start(be_container);
	if (!container || !put(container, "uid_map", uid_map) ||
	    !put(container, "gid_map", gid_map)) {
		fprintf(stderr, "these tests need user namespaces: %s\n", strerror(errno));
		return -1;
	}
	user_ns = open_of(container, "ns/user");
	ipc_ns = open_of(container, "ns/ipc");
	if (user_ns < 0 || ipc_ns < 0 || setns(ipc_ns, CLONE_NEWIPC))
		return -1;
	ipcfs_stand_in_enable();
	return ipcfs_space_open(&space);
}

static int leave_container(void **state)
{
	child_end(container);
	close(user_ns);
	close(ipc_ns);
	return leave_namespace(state);
}

/* What is asked for; of `gives`, the ids are those inside. */
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
	{ "all", CHANGE, { IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID, 0644, OTHER, 0, 0 } },
	{ "setfacl", SET_LIST, { 0 } },
};

static struct ipcfs_acl_entry entries[] = {
	{ .tag = IPCFS_ACL_USER_OBJ, .perm = 6 },
	{ .tag = IPCFS_ACL_USER, .perm = 4 },
	{ .tag = IPCFS_ACL_GROUP_OBJ },
	{ .tag = IPCFS_ACL_GROUP, .perm = 6 },
	{ .tag = IPCFS_ACL_MASK, .perm = 6 },
	{ .tag = IPCFS_ACL_OTHER },
};
static const struct ipcfs_acl list = { COUNT(entries), entries };

/* With ids of inside (base 0) or outside. */
static int grant(const struct wish *wish, const struct ipcfs_backend *backend,
		 const struct ipcfs_ref *ref, const struct ipcfs_caller *caller, uid_t base)
{
	struct ipcfs_change change = wish->gives;

	if (wish->what == REMOVE)
		return backend->remove(space, ref, caller);
	change.uid = change.uid == 5000 && base ? 30000 : base + change.uid;
	change.gid += base;
	if (wish->what == CHANGE)
		return backend->change(space, ref, &change, caller);
	entries[1].id = base + OTHER;
	entries[3].id = base + GROUP;
	return backend->set_acl(space, ref, &list, caller);
}

/* Without anybody between: in the container, if that is where they are, the ids being as they are there. */
static int ask_kernel(const struct role *role, const struct wish *wish,
		      const struct ipcfs_backend *backend, const struct ipcfs_ref *ref)
{
	struct ipcfs_caller self = { .uid = role->uid,
				     .gid = role->uid,
				     .ruid = role->uid,
				     .rgid = role->uid,
				     .loaded = true,
				     .caps = UINT64_MAX };
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		starting = role;
		/* its own /proc/self/fd is root's otherwise, for having changed its ids */
		if (!be_role() || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
			_exit(255);
		_exit(-grant(wish, backend, ref, &self, role->outside ? BASE : 0));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return -WEXITSTATUS(status);
}

/* What it is like now, for those outside: 0 if it is gone. */
static size_t describe(const struct ipcfs_backend *backend, const struct ipcfs_ref *ref, char *text,
		       size_t room)
{
	struct ipcfs_acl acl = { 0 };
	struct ipcfs_info info;
	size_t size = 0;

	text[0] = '\0';
	if (backend->stat(space, ref, &info))
		return 0;
	size = (size_t)snprintf(text, room, "%u:%u %o", info.perm.uid, info.perm.gid,
				info.perm.mode);
	if (backend->acl)
		assert_int_equal(backend->acl(space, ref, &acl), 0);
	for (size_t i = 0; i < acl.count; i++)
		size += (size_t)snprintf(text + size, room - size, " %x:%u:%o", acl.entries[i].tag,
					 acl.entries[i].id, acl.entries[i].perm);
	ipcfs_acl_free(&acl);
	return size;
}

static void make_owned(const struct ipcfs_backend *backend, struct ipcfs_info *info)
{
	struct ipcfs_caller owner;

	start_caller(&roles[2], &owner);
	assert_int_equal(make_as(owner, backend, name_for(backend, 1), info), 0);
	assert_int_equal(info->perm.uid, BASE + OWNER);
	assert_int_equal(info->perm.gid, BASE + OWNER);
	assert_int_equal(info->perm.cuid, BASE + OWNER);
	end_caller(&owner);
}

static void compare(const struct ipcfs_backend *backend, const struct role *role,
		    const struct wish *wish)
{
	char by_kernel[512], by_us[512];
	struct ipcfs_caller caller;
	struct ipcfs_info info;
	int expected, error;

	make_owned(backend, &info);
	expected = ask_kernel(role, wish, backend, &info.ref);
	if (describe(backend, &info.ref, by_kernel, sizeof(by_kernel)))
		remove_it(backend, &info);

	make_owned(backend, &info);
	start_caller(role, &caller);
	error = grant(wish, backend, &info.ref, &caller, BASE);
	end_caller(&caller);
	if (describe(backend, &info.ref, by_us, sizeof(by_us)))
		remove_it(backend, &info);
	if (error != expected || strcmp(by_us, by_kernel) != 0)
		fail_msg("%s/%s, %s, %s: %s, %s; the kernel: %s, %s", backend->family,
			 backend->class_name, role->name, wish->name, strerror(-error), by_us,
			 strerror(-expected), by_kernel);
}

static void the_kernel_says_the_same(void **state)
{
	(void)state;
	FOR_EACH_KIND(backend)
	for (size_t r = 0; r < COUNT(roles); r++)
		for (size_t w = 0; w < COUNT(wishes); w++)
			if (wishes[w].what != SET_LIST || backend->set_acl)
				compare(backend, &roles[r], &wishes[w]);
}

/* Not only the same: in words. */
static void who_may_remove(void **state)
{
	static const bool may[COUNT(roles)] = { true, false, true, false, true,
						false, false, true, false, false };
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
	FOR_EACH_KIND(backend)
	{
		struct ipcfs_change away = { .mask = IPCFS_CHANGE_UID, .uid = STRANGER };
		struct ipcfs_change mode = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
		struct ipcfs_caller root = root_caller(), inside;
		struct ipcfs_info info;

		make_owned(backend, &info);
		start_caller(&roles[0], &inside);
		assert_int_equal(backend->change(space, &info.ref, &away, &inside), -EINVAL);
		away.mask = IPCFS_CHANGE_GID;
		away.gid = STRANGER;
		assert_int_equal(backend->change(space, &info.ref, &away, &inside), -EINVAL);
		if (backend->set_acl) {
			entries[1].id = STRANGER;
			entries[3].id = BASE + GROUP;
			assert_int_equal(backend->set_acl(space, &info.ref, &list, &inside),
					 -EINVAL);
		}
		/* Whose owner is not known there is not for container root to change, or to keep. */
		away.mask = IPCFS_CHANGE_GID;
		away.gid = BASE + GROUP;
		assert_int_equal(backend->change(space, &info.ref, &mode, &inside), 0);
		if (backend->rule == IPCFS_RULE_FILE) {
			away.mask = IPCFS_CHANGE_UID;
			assert_int_equal(backend->change(space, &info.ref, &away, &root), 0);
			assert_int_equal(backend->change(space, &info.ref, &mode, &inside), -EPERM);
		}
		remove_it(backend, &info);
		end_caller(&inside);
	}
}

static void kept_owners_need_a_number(void **state)
{
	struct ipcfs_change mode = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
	struct ipcfs_change away = { .mask = IPCFS_CHANGE_UID, .uid = STRANGER };
	struct ipcfs_caller root = root_caller(), inside;
	struct ipcfs_info info;

	(void)state;
	make_owned(&ipcfs_sysv_sem, &info);
	start_caller(&roles[0], &inside);
	/* The kernel gives a System V object no owner that its user namespace has not. */
	(void)ipcfs_sysv_sem.change(space, &info.ref, &away, &root);
	free(inside.map);
	assert_int_equal(ipcfs_id_map_parse("0 1 1\n", gid_map, &inside.map), 0);
	assert_int_equal(ipcfs_sysv_sem.change(space, &info.ref, &mode, &inside), -EOVERFLOW);
	free(inside.map);
	assert_int_equal(ipcfs_id_map_parse(uid_map, "0 1 1\n", &inside.map), 0);
	assert_int_equal(ipcfs_sysv_sem.change(space, &info.ref, &mode, &inside), -EOVERFLOW);
	remove_it(&ipcfs_sysv_sem, &info);
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
		end_caller(&caller);
		/* Its root's, capabilities or not: the files are his. */
		assert_int_equal(error, outside_uid(&roles[r]) == BASE ? 0 : -EACCES);
	}
	assert_int_equal(ipcfs_limit_read(limit, &now), 0);
	assert_string_equal(now.data, "77\n");
	ipcfs_text_free(&before);
	ipcfs_text_free(&now);
}

struct look {
	char status[2048];
	pid_t pid, parent;
	uid_t ruid, uid;
	int dumpable, death_signal;
	struct stat user_ns, ipc_ns;
	bool traced;
};

/* A test, that may do more than system calls: nothing else runs here. */
static int look_at_oneself(void *arg)
{
	struct look *look = arg;

	credentials(look->status);
	look->pid = getpid();
	look->parent = getppid();
	look->ruid = getuid();
	look->uid = geteuid();
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
	assert_int_equal(ipcfs_identity_run(&caller, look_at_oneself, &look, sizeof(look)), 5);
	assert_string_equal(credentials(after), before);
	end_caller(&caller);
	assert_int_equal(fstat(user_ns, &users), 0);
	assert_int_equal(fstat(ipc_ns, &objects), 0);
	assert_int_not_equal(look.pid, getpid());
	assert_int_equal(look.parent, getpid());
	assert_int_equal(look.ruid, OTHER);
	assert_int_equal(look.uid, OTHER);
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

/* As container root, with the rights of all of it. */
static bool trace(pid_t pid)
{
	char path[64], byte;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return true;
	(void)byte;
	return syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, pid, NULL, NULL) == 0 || errno != EPERM;
}

/* While it works, somebody else of the container tries. */
static int be_traced(void *arg)
{
	struct look *look = arg;
	pid_t self = getpid(), child;
	int status;

	child = fork();
	if (child == 0) {
		/* this one may be seen, as others in the container */
		_exit(trace(self) ? 1 : 0);
	}
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
	assert_int_equal(ipcfs_identity_run(&caller, be_traced, &look, sizeof(look)), 0);
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

__attribute__((noreturn)) static int be_stopped_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		(void)kill(getpid(), SIGSTOP);
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
	return kill(getpid(), SIGTERM) ? -errno : 5; /* which is blocked */
}

static void a_stand_in_can_be_lost(void **state)
{
	struct ipcfs_caller caller;
	int arg = 0;

	(void)state;
	start_caller(&roles[0], &caller);
	assert_int_equal(ipcfs_identity_run(&caller, be_stopped, &arg, sizeof(arg)), 5);
	assert_int_equal(ipcfs_identity_run(&caller, be_terminated, &arg, sizeof(arg)), 5);
	assert_int_equal(ipcfs_identity_run(&caller, be_stopped_for_ever, &arg, sizeof(arg)),
			 -EINTR);
	assert_int_equal(ipcfs_identity_run(&caller, be_killed, &arg, sizeof(arg)), -EINTR);
	end_caller(&caller);
}

static int succeed(void *arg)
{
	(void)arg;
	return 0;
}

static void who_is_gone_has_no_stand_in(void **state)
{
	struct ipcfs_caller caller, moved;
	pid_t tid;

	(void)state;
	start_caller(&roles[0], &caller);
	tid = caller.tid;
	/* Its number is now that of a process of outside. */
	moved = caller;
	moved.tid = getpid();
	assert_int_equal(ipcfs_identity_run(&moved, succeed, NULL, 0), -EPERM);
	assert_int_equal(ipcfs_identity_run(&caller, succeed, NULL, 0), 0);
	child_end(tid);
	assert_int_equal(ipcfs_identity_run(&caller, succeed, NULL, 0), -EPERM);
	ipcfs_caller_free(&caller);
}

/* Queues are counted for the user in the container, too, with the limit of who asked. */
static void queues_are_charged_to_the_container(void **state)
{
	struct ipcfs_spec spec = spec_for(&ipcfs_posix_mq, "charged");
	struct rlimit small = { 1000, 1000 };
	struct ipcfs_caller caller;
	const char *limit = NULL;
	struct ipcfs_info info;

	(void)state;
	start_caller(&roles[3], &caller);
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), 0);
	assert_int_equal(info.perm.uid, BASE + OTHER);
	remove_it(&ipcfs_posix_mq, &info);
	assert_int_equal(prlimit(caller.tid, RLIMIT_MSGQUEUE, &small, NULL), 0);
	assert_int_equal(ipcfs_posix_mq.make(space, &spec, &caller, &info, &limit), -ENOSPC);
	assert_string_equal(limit, "RLIMIT_MSGQUEUE");
	end_caller(&caller);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_says_the_same),
		cmocka_unit_test(who_may_remove),
		cmocka_unit_test(what_is_not_mapped),
		cmocka_unit_test(kept_owners_need_a_number),
		cmocka_unit_test(limits_are_the_containers),
		cmocka_unit_test(a_stand_in_is_the_caller),
		cmocka_unit_test(nobody_traces_a_stand_in),
		cmocka_unit_test(a_stand_in_can_be_lost),
		cmocka_unit_test(who_is_gone_has_no_stand_in),
		cmocka_unit_test(queues_are_charged_to_the_container),
	};

	return cmocka_run_group_tests(tests, enter_container, leave_container);
}
