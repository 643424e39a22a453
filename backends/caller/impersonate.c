/* SPDX-License-Identifier: MIT */
/*
 * The C library's setresuid(3) and setgroups(3) change all threads of a process, so raw system
 * calls are used here, which change one. The kernel's file system ids follow the effective ones.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/caller/impersonate.h"

/* On old 32-bit architectures, the plain calls take 16-bit ids. */
#ifdef SYS_setgroups32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESUID SYS_setresuid32
#define CALL_SETRESGID SYS_setresgid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESUID SYS_setresuid
#define CALL_SETRESGID SYS_setresgid
#endif

/*
 * The capabilities for which the kernel asks when an object is made, changed or removed, or a limit
 * is written. A process that acts for a caller in this has no others, whatever its caller has.
 */
#define CHILD_CAPABILITIES                                                                         \
	((uint64_t)1 << CAP_CHOWN | (uint64_t)1 << CAP_DAC_OVERRIDE |                              \
	 (uint64_t)1 << CAP_DAC_READ_SEARCH | (uint64_t)1 << CAP_FOWNER |                          \
	 (uint64_t)1 << CAP_FSETID | (uint64_t)1 << CAP_IPC_LOCK | (uint64_t)1 << CAP_IPC_OWNER |  \
	 (uint64_t)1 << CAP_SYS_ADMIN | (uint64_t)1 << CAP_SYS_RESOURCE)

enum changed {
	CHANGED_GROUPS = 1 << 0,
	CHANGED_GID = 1 << 1,
	CHANGED_UID = 1 << 2,
	CHANGED_CAPABILITIES = 1 << 3,
};

static const uid_t same_uid = (uid_t)-1;
static const gid_t same_gid = (gid_t)-1;

/*
 * Returns whether the caller has ids that this thread can take. -1 means "no change" to
 * setresuid(2), which would leave the daemon's id in place.
 */
static bool has_ids(const struct ipcfs_caller *caller)
{
	return caller->loaded && caller->uid != same_uid && caller->gid != same_gid &&
	       caller->ruid != same_uid && caller->rgid != same_gid;
}

/* Returns the caller's capabilities in the daemon's user namespace. */
static uint64_t daemon_ns_caps(const struct ipcfs_caller *caller)
{
	return caller->foreign ? 0 : caller->caps;
}

static int get_capabilities(struct ipcfs_capabilities *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, halves))
		return -errno;
	sets->effective = halves[0].effective | (uint64_t)halves[1].effective << 32;
	sets->permitted = halves[0].permitted | (uint64_t)halves[1].permitted << 32;
	sets->inheritable = halves[0].inheritable | (uint64_t)halves[1].inheritable << 32;
	return 0;
}

static int set_capabilities(const struct ipcfs_capabilities *sets)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = (uint32_t)sets->effective,
		  .permitted = (uint32_t)sets->permitted,
		  .inheritable = (uint32_t)sets->inheritable },
		{ .effective = (uint32_t)(sets->effective >> 32),
		  .permitted = (uint32_t)(sets->permitted >> 32),
		  .inheritable = (uint32_t)(sets->inheritable >> 32) },
	};

	return syscall(SYS_capset, &header, halves) ? -errno : 0;
}

static int set_groups(size_t count, const gid_t *groups)
{
	return syscall(CALL_SETGROUPS, count, groups) ? -errno : 0;
}

int ipcfs_credentials_read(struct ipcfs_credentials *own)
{
	*own = (struct ipcfs_credentials){ .uid = geteuid(), .gid = getegid() };
	for (;;) {
		int count = getgroups(0, NULL);

		if (count < 0)
			return -errno;
		own->groups = calloc((size_t)count + 1, sizeof(*own->groups));
		if (!own->groups)
			return -ENOMEM;
		count = getgroups(count, own->groups);
		if (count >= 0) {
			own->ngroups = (size_t)count;
			break;
		}
		ipcfs_credentials_free(own);
		if (errno != EINVAL) /* EINVAL: there are more groups now */
			return -errno;
	}
	return get_capabilities(&own->capabilities);
}

void ipcfs_credentials_free(struct ipcfs_credentials *own)
{
	free(own->groups);
	own->groups = NULL;
	own->ngroups = 0;
}

/* Returns whether each of the `count` groups is one of the `others` or the additional one. */
static bool groups_within(size_t count, const gid_t *groups, size_t others, const gid_t *other,
			  gid_t additional)
{
	for (size_t i = 0; i < count; i++) {
		bool found = groups[i] == additional;

		for (size_t j = 0; j < others && !found; j++)
			found = groups[i] == other[j];
		if (!found)
			return false;
	}
	return true;
}

/*
 * Gives this thread the caller's groups. Returns 1 when they were changed, 0 when the thread keeps
 * its own. It keeps them where they are the same, and where a user namespace forbids setgroups(2)
 * and the caller has all of them.
 */
static int take_groups(const struct ipcfs_caller *caller, const struct ipcfs_credentials *own)
{
	bool no_more = groups_within(own->ngroups, own->groups, caller->ngroups, caller->groups,
				     caller->gid);
	bool no_less = groups_within(caller->ngroups, caller->groups, own->ngroups, own->groups,
				     caller->gid);

	if (no_more && no_less)
		return 0;
	if (!set_groups(caller->ngroups, caller->groups))
		return 1;
	return no_more ? 0 : -EPERM;
}

static int take_ids(const struct ipcfs_caller *caller, struct ipcfs_credentials *own)
{
	struct ipcfs_capabilities wanted = own->capabilities;
	int groups_taken = take_groups(caller, own);

	if (groups_taken < 0)
		return groups_taken;
	if (groups_taken)
		own->changed |= CHANGED_GROUPS;

	if (caller->gid != own->gid) {
		if (syscall(CALL_SETRESGID, same_gid, caller->gid, same_gid))
			return -EPERM;
		own->changed |= CHANGED_GID;
	}
	if (caller->uid != own->uid) {
		/*
		 * Without PR_SET_KEEPCAPS, a daemon that is not root would lose its permitted
		 * capabilities when it goes back from a caller with uid 0.
		 */
		if (own->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
			return -EPERM;
		if (syscall(CALL_SETRESUID, same_uid, caller->uid, same_uid))
			return -EPERM;
		own->changed |= CHANGED_UID;
	}

	wanted.effective = wanted.permitted & daemon_ns_caps(caller);
	if (own->changed & CHANGED_UID || wanted.effective != own->capabilities.effective) {
		if (set_capabilities(&wanted))
			return -EPERM;
		own->changed |= CHANGED_CAPABILITIES;
	}
	return 0;
}

/* Gives this thread its own credentials back, and frees *own. Keeps errno. */
static void revert(struct ipcfs_credentials *own)
{
	int saved = errno;
	bool lost = false;

	/*
	 * Twice: the calls below need the daemon's capabilities, and a change of the uid changes
	 * them.
	 */
	if (own->changed)
		lost = set_capabilities(&own->capabilities);
	if (!lost && own->changed & CHANGED_UID)
		lost = syscall(CALL_SETRESUID, same_uid, own->uid, same_uid);
	if (!lost && own->changed & CHANGED_UID)
		lost = set_capabilities(&own->capabilities);
	if (!lost && own->changed & CHANGED_GID)
		lost = syscall(CALL_SETRESGID, same_gid, own->gid, same_gid);
	if (!lost && own->changed & CHANGED_GROUPS)
		lost = set_groups(own->ngroups, own->groups);

	/*
	 * A thread with another caller's credentials would serve the next caller with the wrong
	 * rights. It can neither be repaired nor ended alone, so the process ends.
	 */
	if (lost)
		abort();
	ipcfs_credentials_free(own);
	own->changed = 0;
	errno = saved;
}

/*
 * Gives this thread the credentials of the caller, who has to be loaded, until revert.
 * -EPERM: the process may not; nothing has changed.
 * -ENOMEM.
 */
static int become(const struct ipcfs_caller *caller, struct ipcfs_credentials *own)
{
	int error;

	if (!has_ids(caller)) {
		*own = (struct ipcfs_credentials){ 0 };
		return -EPERM;
	}
	error = ipcfs_credentials_read(own);
	if (error) {
		ipcfs_credentials_free(own);
		return error;
	}
	error = take_ids(caller, own);
	if (error)
		revert(own);
	return error;
}

int ipcfs_impersonate(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg)
{
	struct ipcfs_credentials own;
	int result = become(caller, &own);

	if (result)
		return result;
	result = work(arg);
	revert(&own);
	return result;
}

/*
 * Joins the user namespace. Before that, drops all capabilities but CAP_SYS_ADMIN, which setns(2)
 * requires. In the namespace that it has joined, the process has all capabilities.
 */
static int join_user_ns(int user_ns, const struct ipcfs_credentials *own)
{
	const uint64_t needed = own->capabilities.permitted & (uint64_t)1 << CAP_SYS_ADMIN;
	const struct ipcfs_capabilities sets = { .effective = needed, .permitted = needed };

	if (set_capabilities(&sets))
		return -EPERM;
	return setns(user_ns, CLONE_NEWUSER) ? -EPERM : 0;
}

int ipcfs_impersonate_for_good(const struct ipcfs_caller *caller,
			       const struct ipcfs_credentials *own, int user_ns, bool all)
{
	struct ipcfs_capabilities sets = { 0 };

	if (!has_ids(caller) || take_groups(caller, own) < 0)
		return -EPERM;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -EPERM;
	if (syscall(CALL_SETRESGID, caller->rgid, caller->gid, caller->gid))
		return -EPERM;
	if (syscall(CALL_SETRESUID, caller->ruid, caller->uid, caller->uid))
		return -EPERM;
	if (user_ns >= 0 && join_user_ns(user_ns, own))
		return -EPERM;
	sets.permitted = user_ns >= 0 ? caller->caps
				      : own->capabilities.permitted & daemon_ns_caps(caller);
	if (!all)
		sets.permitted &= CHILD_CAPABILITIES;
	sets.effective = sets.permitted;
	return set_capabilities(&sets) ? -EPERM : 0;
}
