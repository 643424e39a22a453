/* SPDX-License-Identifier: MIT */
/*
 * The C library's setresuid and its kin change every thread of a process, so that raw system calls
 * are used here. The kernel's ids for file systems follow the effective ones.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "id_map.h"
#include "identity.h"
#include "stand_in.h"

/* On old 32-bit architectures the plain calls know 16-bit ids only. */
#ifdef SYS_setgroups32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESUID SYS_setresuid32
#define CALL_SETRESGID SYS_setresgid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESUID SYS_setresuid
#define CALL_SETRESGID SYS_setresgid
#endif

enum changed {
	CHANGED_GROUPS = 1 << 0,
	CHANGED_GID = 1 << 1,
	CHANGED_UID = 1 << 2,
	CHANGED_CAPABILITIES = 1 << 3,
};

static const uid_t same_uid = (uid_t)-1;
static const gid_t same_gid = (gid_t)-1;

/* -1 would change nothing, and so leave ours in place. */
static bool has_ids(const struct ipcfs_caller *caller)
{
	return caller->loaded && caller->uid != same_uid && caller->gid != same_gid &&
	       caller->ruid != same_uid && caller->rgid != same_gid;
}

/* Those of another user namespace are none in ours. */
static uint64_t caps_here(const struct ipcfs_caller *caller)
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

int ipcfs_identity_read(struct ipcfs_identity *own)
{
	*own = (struct ipcfs_identity){ .uid = geteuid(), .gid = getegid() };
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
		ipcfs_identity_free(own);
		if (errno != EINVAL) /* EINVAL: they became more */
			return -errno;
	}
	return get_capabilities(&own->capabilities);
}

void ipcfs_identity_free(struct ipcfs_identity *own)
{
	free(own->groups);
	own->groups = NULL;
	own->ngroups = 0;
}

/* Is every one of these groups among those, or the additional one? */
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
 * Let this thread have the caller's groups: 1 when they were changed, 0 when there was no need.
 * Where user namespaces forbid setgroups ours must do, which may not be more than theirs.
 */
static int adopt_groups(const struct ipcfs_caller *caller, const struct ipcfs_identity *own)
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

static int adopt(const struct ipcfs_caller *caller, struct ipcfs_identity *own)
{
	struct ipcfs_capabilities wanted = own->capabilities;
	int adopted = adopt_groups(caller, own);

	if (adopted < 0)
		return adopted;
	if (adopted)
		own->changed |= CHANGED_GROUPS;

	if (caller->gid != own->gid) {
		if (syscall(CALL_SETRESGID, same_gid, caller->gid, same_gid))
			return -EPERM;
		own->changed |= CHANGED_GID;
	}
	if (caller->uid != own->uid) {
		/*
		 * A process that is not root would lose its permitted capabilities on the way back
		 * from a caller who is.
		 */
		if (own->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
			return -EPERM;
		if (syscall(CALL_SETRESUID, same_uid, caller->uid, same_uid))
			return -EPERM;
		own->changed |= CHANGED_UID;
	}

	wanted.effective = wanted.permitted & caps_here(caller);
	if (own->changed & CHANGED_UID || wanted.effective != own->capabilities.effective) {
		if (set_capabilities(&wanted))
			return -EPERM;
		own->changed |= CHANGED_CAPABILITIES;
	}
	return 0;
}

/* Be ourselves again, and free what take allocated. errno is kept. */
static void give_back(struct ipcfs_identity *own)
{
	int saved = errno;
	bool lost = false;

	/* Twice: what follows needs our capabilities, and changing the uid changes them again. */
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
	 * A thread that stays somebody else would do the next caller's work with the wrong rights.
	 * It can neither be mended nor ended alone, so nothing of the process may go on.
	 */
	if (lost)
		abort();
	ipcfs_identity_free(own);
	own->changed = 0;
	errno = saved;
}

/*
 * Become the caller (loaded), until give_back. -EPERM: this process may not, nothing has changed then; -ENOMEM.
 */
static int take(const struct ipcfs_caller *caller, struct ipcfs_identity *own)
{
	int error;

	if (!has_ids(caller)) {
		*own = (struct ipcfs_identity){ 0 };
		return -EPERM;
	}
	error = ipcfs_identity_read(own);
	if (error) {
		ipcfs_identity_free(own);
		return error;
	}
	error = adopt(caller, own);
	if (error)
		give_back(own);
	return error;
}

int ipcfs_identity_run(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg,
		       size_t size)
{
	struct ipcfs_identity own;
	int result;

	if (ipcfs_stand_in_joins(caller)) {
		const struct ipcfs_stand_in terms = { .caller = caller };

		return ipcfs_stand_in_run(&terms, work, arg, size);
	}
	result = ipcfs_stand_in_knows(caller) ? take(caller, &own) : -EPERM;
	if (result)
		return result;
	result = work(arg);
	give_back(&own);
	return result;
}

int ipcfs_identity_uid(const struct ipcfs_caller *caller, uid_t uid, uid_t *there)
{
	if (ipcfs_stand_in_joins(caller))
		return ipcfs_id_map_uid(caller->map, uid, there);
	*there = uid;
	return 0;
}

int ipcfs_identity_gid(const struct ipcfs_caller *caller, gid_t gid, gid_t *there)
{
	if (ipcfs_stand_in_joins(caller))
		return ipcfs_id_map_gid(caller->map, gid, there);
	*there = gid;
	return 0;
}

/* With no capability but the one that this takes: all that there are in the other one come with it. */
static int join(int user_ns, const struct ipcfs_identity *own)
{
	const uint64_t needed = own->capabilities.permitted & (uint64_t)1 << CAP_SYS_ADMIN;
	const struct ipcfs_capabilities sets = { .effective = needed, .permitted = needed };

	if (set_capabilities(&sets))
		return -EPERM;
	return setns(user_ns, CLONE_NEWUSER) ? -EPERM : 0;
}

int ipcfs_identity_become(const struct ipcfs_caller *caller, const struct ipcfs_identity *own,
			  int user_ns)
{
	struct ipcfs_capabilities sets = { 0 };

	if (!has_ids(caller) || adopt_groups(caller, own) < 0)
		return -EPERM;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -EPERM;
	if (syscall(CALL_SETRESGID, caller->rgid, caller->gid, caller->gid))
		return -EPERM;
	if (syscall(CALL_SETRESUID, caller->ruid, caller->uid, caller->uid))
		return -EPERM;
	if (user_ns >= 0 && join(user_ns, own))
		return -EPERM;
	sets.permitted = user_ns >= 0 ? caller->caps
				      : own->capabilities.permitted & caps_here(caller);
	sets.effective = sets.permitted;
	return set_capabilities(&sets) ? -EPERM : 0;
}
