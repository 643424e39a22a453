/* SPDX-License-Identifier: MIT */
/*
 * A process that is the caller for one piece of work, and that can be lost: the caller, whose it is too, may
 * stop or kill it. It alone can have the caller's real ids, and be in the caller's user namespace, where the
 * caller's capabilities are.
 */
#ifndef IPCFS_STAND_IN_H
#define IPCFS_STAND_IN_H

#include <sys/resource.h>

#include "backend.h"

/*
 * From now on what is done for callers of other user namespaces is done in theirs. It takes CAP_SYS_ADMIN over
 * these, and setns(2). Once, at the start; before, they are served without any capability.
 */
void ipcfs_stand_in_enable(void);

/* Is this one (loaded) served in their own user namespace? */
bool ipcfs_stand_in_joins(const struct ipcfs_caller *caller);

/*
 * May this one be served at all? Once enabled not if they are not loaded or their user namespace is not known: on our
 * thread their uid alone may have capabilities, if it made a user namespace, which it has not inside of that.
 */
bool ipcfs_stand_in_knows(const struct ipcfs_caller *caller);

struct ipcfs_stand_in {
	const struct ipcfs_caller *caller; /* loaded */
	const struct rlimit *queues;	   /* its RLIMIT_MSGQUEUE; NULL: ours */
	bool bare;			   /* it has none of our descriptors */
};

/*
 * Run work(arg) in a stand-in, which is in this thread's IPC namespace, and return its result: 0 or more, or a
 * negative errno. The `size` bytes of *arg are shared with it, so that `work` may answer in them; all else is a
 * copy, and the descriptors it opens are lost. `work` makes system calls only: no other thread of ours, which may
 * have held a lock, is there. -EINTR: it was killed; -EPERM: we may not become the caller, or don't know them;
 * -ENOMEM, -EAGAIN.
 */
int ipcfs_stand_in_run(const struct ipcfs_stand_in *terms, int (*work)(void *arg), void *arg,
		       size_t size);

#endif
