/* SPDX-License-Identifier: MIT */
/*
 * Acting as a caller, so that the kernel judges what they ask for. On this thread; only the
 * effective ids, the groups and the effective capabilities change, so that the caller, whose real
 * ids the thread does not get, may not signal it. For callers of another user namespace in a process
 * that joins it, once that is enabled (stand_in.h).
 */
#ifndef IPCFS_IDENTITY_H
#define IPCFS_IDENTITY_H

#include "backend.h"

/* Three sets, bit 1 << CAP_x each. */
struct ipcfs_capabilities {
	uint64_t effective, permitted, inheritable;
};

/* Who this thread is, and what of that was changed. */
struct ipcfs_identity {
	uid_t uid; /* effective */
	gid_t gid; /* effective */
	struct ipcfs_capabilities capabilities;
	size_t ngroups;
	gid_t *groups;	  /* owned */
	unsigned changed; /* private to identity.c */
};

/* Who this thread is now. Free with ipcfs_identity_free. -ENOMEM. */
int ipcfs_identity_read(struct ipcfs_identity *own);
void ipcfs_identity_free(struct ipcfs_identity *own);

/*
 * Run work(arg) as the caller (loaded), and return its result: 0 or more, or a negative errno. It may be run in
 * another process: then it finds all there is, in its place, but what it changes is lost, descriptors that it
 * opens as well, apart from the `size` bytes of *arg. So it makes system calls only, takes its answers
 * there, and ids it passes or is told are numbers of the caller's user namespace.
 *
 * Capabilities are the caller's, on this thread as far as we have them ourselves. -EPERM: this process may not
 * become the caller, or the caller is gone; -ENOMEM; -EINTR: the caller killed the process; -EAGAIN.
 *
 * A process without the privilege to change its ids can act for callers who are what it is itself:
 * equal ids, and none of its groups is one they don't have.
 */
int ipcfs_identity_run(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg,
		       size_t size);

/* The number that work has to pass for this user or group of ours. -EINVAL: it has none there. */
int ipcfs_identity_uid(const struct ipcfs_caller *caller, uid_t uid, uid_t *there);
int ipcfs_identity_gid(const struct ipcfs_caller *caller, gid_t gid, gid_t *there);

/*
 * Become the caller for good, real and saved ids and permitted capabilities as well, and, where `user_ns` is a
 * descriptor of the caller's user namespace and not -1, in that: for a disposable process of one thread that was
 * just forked and read *own before. Async-signal-safe. -EPERM.
 */
int ipcfs_identity_become(const struct ipcfs_caller *caller, const struct ipcfs_identity *own,
			  int user_ns);

#endif
