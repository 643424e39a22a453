/* SPDX-License-Identifier: MIT */
#include "fs/daemon/privilege.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>

#include "fs/base/log.h"

#ifdef IPCFS_CAPABILITIES
#include <cap-ng.h>
#include <linux/capability.h>

/* Capabilities for the daemon's own work. */
static const unsigned own[] = {
	CAP_SETUID,	  /* acting with a caller's ids, and returning to its own */
	CAP_SETGID,	  /* the same for groups */
	CAP_IPC_OWNER,	  /* System V objects of others, after its own check */
	CAP_DAC_OVERRIDE, /* queues and files of /dev/shm of others, after its own check */
	CAP_SYS_PTRACE,	  /* reading a caller's user namespace, and how it ends */
	CAP_SYS_ADMIN,	  /* files of segments, passthrough, unmounting */
	CAP_SYS_RESOURCE, /* acting under a caller's RLIMIT_MSGQUEUE */
	CAP_KILL,	  /* ending a child that makes a queue, if its caller stopped it */
};

/* Capabilities of callers, effective only while the daemon acts as a caller that has them. */
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
 * Returns the sets from which a capability is removed. Without CAP_SYS_PTRACE (`sees` is false) the
 * kernel shows the user namespace of a thread only to a process that has all capabilities of that
 * thread (ptrace(2), PTRACE_MODE_READ_FSCREDS). The daemon then keeps all its own, as callers may
 * have them.
 */
static capng_type_t sets_to_leave(unsigned capability, bool audits, bool sees)
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
	/* Without it the bounding set stays. It only limits what programs could gain. */
	bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	sees = capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_PTRACE);
	for (unsigned i = 0; i < 64; i++) /* EINVAL: the kernel does not know it */
		if (capng_update(CAPNG_DROP, sets_to_leave(i, audits, sees), i) < 0 &&
		    errno != EINVAL)
			return -EPERM;
	if (bounded && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return -EPERM;
	/* Ambient capabilities must be inheritable: the kernel drops them at the same time. */
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

#else

static int drop_capabilities(bool audits)
{
	(void)audits;
	ipcfs_log(LOG_WARNING, "built without libcap-ng: capabilities are not given up");
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
