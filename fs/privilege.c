/* SPDX-License-Identifier: MIT */
#include "privilege.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>

#include "log.h"

#ifdef IPCFS_CAPABILITIES
#include <cap-ng.h>
#include <linux/capability.h>

/* What the daemon's own work takes. */
static const unsigned own[] = {
	CAP_SETUID,	  /* acting as a caller, and being itself again */
	CAP_SETGID,	  /* the same, with the caller's groups */
	CAP_IPC_OWNER,	  /* others' System V objects, after the check */
	CAP_DAC_OVERRIDE, /* others' queues and files of /dev/shm, after the check */
	CAP_SYS_PTRACE,	  /* a caller's user namespace, and whether it has ended */
	CAP_SYS_ADMIN,	  /* a segment's file, passthrough, unmounting */
	CAP_SYS_RESOURCE, /* a caller's own limit on the bytes of queues */
	CAP_KILL,	  /* a maker of queues that its caller has stopped */
};

/* What a caller may use who has it, while we act as them; not effective otherwise. */
static const unsigned callers[] = {
	CAP_CHOWN,
	CAP_FOWNER,
};

static bool is_among(unsigned capability, const unsigned *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == capability)
			return true;
	return false;
}

/*
 * Which sets this one goes from: all, or, of what is kept permitted, those beside it. Without
 * CAP_SYS_PTRACE the kernel shows the user namespace of a thread only to those who have all its capabilities:
 * who can't see it has to keep what callers may have (ptrace(2), PTRACE_MODE_READ_FSCREDS).
 */
static capng_type_t surplus(unsigned capability, bool audits, bool sees)
{
	capng_type_t beside = CAPNG_INHERITABLE | CAPNG_BOUNDING_SET | CAPNG_AMBIENT;

	if (!sees)
		return beside;
	if (capability == CAP_AUDIT_WRITE && audits)
		return beside;
	if (is_among(capability, own, sizeof(own) / sizeof(own[0])))
		return beside;
	if (is_among(capability, callers, sizeof(callers) / sizeof(callers[0])))
		return beside | CAPNG_EFFECTIVE;
	return beside | CAPNG_EFFECTIVE | CAPNG_PERMITTED;
}

static int drop_capabilities(bool audits)
{
	bool bounded, sees;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	/* Without it the bounding set stays, which bounds only what programs could gain. */
	bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	sees = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE);
	for (unsigned i = 0; i < 64; i++) /* EINVAL: the kernel has fewer */
		if (capng_update(CAPNG_DROP, surplus(i, audits, sees), i) < 0 && errno != EINVAL)
			return -EPERM;
	if (bounded && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return -EPERM;
	/* An ambient one has to be inheritable: the kernel drops them along. */
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

#else

static int drop_capabilities(bool audits)
{
	(void)audits;
	return 0;
}
#endif

int ipcfs_privilege_drop(bool audits)
{
	int error;

	error = drop_capabilities(audits);
	if (error < 0) {
		ipcfs_log(LOG_ERR, "can't give up capabilities");
		return error;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		error = -errno;
		ipcfs_log(LOG_ERR, "PR_SET_NO_NEW_PRIVS: %s", strerror(-error));
		return error;
	}
	return 0;
}
