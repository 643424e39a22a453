/* SPDX-License-Identifier: MIT */
/*
 * A container with a user and an IPC namespace, made by a user, and callers inside and outside it.
 * The test itself is in its IPC namespace only. Needs root.
 */
#ifndef TEST_CONTAINER_H
#define TEST_CONTAINER_H

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "backends/caller/impersonate_child.h"
#include "children.h"
#include "fs/access/caller.h"
#include "ipc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The ids inside map to those from here on outside, except the last one. */
#define BASE 20000
#define MAPPED 1000
#define MADE_BY (BASE + 500)
#define STRANGER 30001

enum { OWNER = 7, OTHER = 8, GROUP = 9 };

static const char uid_map[] = "0 20000 1000\n5000 30000 1\n";
static const char gid_map[] = "0 20000 1000\n";

static pid_t container;
static int user_ns, ipc_ns;

static inline bool set_caps(uint64_t caps)
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

static inline bool become(uid_t uid, gid_t gid, gid_t group, uint64_t caps)
{
	return !prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) && !setgroups(group != 0, &group) &&
	       !setresgid(gid, gid, gid) && !setresuid(uid, uid, uid) && set_caps(caps);
}

/* The namespaces belong to the process that makes them. */
static inline bool be_container(void)
{
	return become(MADE_BY, MADE_BY, 0, UINT64_MAX) && !unshare(CLONE_NEWUSER | CLONE_NEWIPC);
}

static inline bool put(pid_t process, const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
	file = fopen(path, "we");
	return file && fputs(text, file) >= 0 && !fclose(file);
}

static inline int open_of(pid_t process, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The callers. Ids are those inside; `outside` callers are not in the container. */
struct role {
	const char *name;
	uid_t uid;
	uint64_t caps;
	bool outside;
	gid_t group; /* beside the one that equals the uid; 0: none */
};

#define SOME ((uint64_t)1 << CAP_FOWNER | (uint64_t)1 << CAP_DAC_OVERRIDE)

static const struct role roles[] = {
	{ "container root", 0, UINT64_MAX, false, 0 },
	{ "container root without capabilities", 0, 0, false, 0 },
	{ "the objects' owner", OWNER, 0, false, 0 },
	{ "another user", OTHER, 0, false, 0 },
	{ "another user with CAP_SYS_ADMIN", OTHER, (uint64_t)1 << CAP_SYS_ADMIN, false, 0 },
	{ "another user with other capabilities", OTHER, SOME, false, 0 },
	{ "who made the container, inside", MADE_BY - BASE, 0, false, 0 },
	{ "who made the container, outside", MADE_BY, 0, true, 0 },
	{ "a stranger", STRANGER, 0, true, 0 },
	{ "root of outside without capabilities", 0, 0, true, 0 },
	{ "the objects' owner, in a group", OWNER, 0, false, GROUP },
	{ "another user, whom they are outside", BASE + OTHER, 0, true, 0 },
};

static const struct role *starting;
static const struct rlimit *limited; /* RLIMIT_MSGQUEUE of the callers; NULL: the test's own */

static inline bool be_role(void)
{
	if (!starting->outside && (setns(user_ns, CLONE_NEWUSER) || setns(ipc_ns, CLONE_NEWIPC)))
		return false;
	if (limited && setrlimit(RLIMIT_MSGQUEUE, limited))
		return false;
	return become(starting->uid, starting->uid, starting->group, starting->caps);
}

static inline uid_t outside_uid(const struct role *role)
{
	return role->outside ? role->uid : BASE + role->uid;
}

/* Starts a process that waits like a caller. End it with child_end(caller->tid). */
static inline void start_caller(const struct role *role, struct ipcfs_caller *caller)
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

static inline void end_caller(struct ipcfs_caller *caller)
{
	child_end(caller->tid);
	ipcfs_caller_free(caller);
}

static inline int enter_container(void **state)
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
	ipcfs_impersonate_child_enable();
	return ipcfs_space_open(&space);
}

static inline int leave_container(void **state)
{
	child_end(container);
	close(user_ns);
	close(ipc_ns);
	return leave_namespace(state);
}

#endif
