/* SPDX-License-Identifier: MIT */
/*
 * The impersonating child: a process that becomes the caller for one piece of work. As a process,
 * it can have the caller's real ids, and can be in the caller's user namespace, where the caller's
 * capabilities count. The caller, to whom it belongs, may stop or kill it; the daemon does not
 * depend on it.
 */
#ifndef IPCFS_IMPERSONATE_CHILD_H
#define IPCFS_IMPERSONATE_CHILD_H

#include <sys/resource.h>

#include "backends/contract/contract.h"

/*
 * Makes the daemon act for callers of other user namespaces in their own user namespace. This needs
 * CAP_SYS_ADMIN over these, and setns(2). Until then, such callers are impersonated in the daemon's
 * user namespace, without capabilities. Called once, at the start.
 */
void ipcfs_impersonate_child_enable(void);

/* Returns whether this caller, who has to be loaded, is impersonated in another user namespace. */
bool ipcfs_impersonate_child_joins(const struct ipcfs_caller *caller);

/*
 * Returns whether this caller may be impersonated at all. Once enabled, a caller has to be loaded,
 * with a known user namespace: the daemon's user namespace gives a uid that owns a user namespace
 * capabilities in it, which a caller inside of that namespace does not have.
 */
bool ipcfs_impersonate_child_knows(const struct ipcfs_caller *caller);

struct ipcfs_child_terms {
	const struct ipcfs_caller *caller; /* loaded */
	const struct rlimit *queues;	   /* RLIMIT_MSGQUEUE of the caller; NULL: the daemon's */
	bool bare;			   /* close all descriptors of the daemon in the child */
	/* have all capabilities of the caller, and not only those that objects are made with */
	bool keeps_capabilities;
};

/*
 * Runs work(arg) in an impersonating child, which is in this thread's IPC namespace, and waits for
 * it.
 * Returns the result of work: 0 or more, or a negative errno.
 *
 * The child shares the `size` bytes of *arg, so that work may answer in them. All other memory is a
 * copy, and descriptors that work opens are lost. work makes system calls only: a lock that another
 * thread of the daemon has held is never released in the child.
 *
 * -EINTR: the child was killed.
 * -EPERM: the daemon may not become the caller, or the caller is not known.
 * -ENOMEM, -EAGAIN.
 */
int ipcfs_impersonate_child(const struct ipcfs_child_terms *terms, int (*work)(void *arg),
			    void *arg, size_t size);

#endif
