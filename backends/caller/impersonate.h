/* SPDX-License-Identifier: MIT */
/*
 * Taking a caller's credentials. On a thread of the daemon, only the effective ids, the groups and
 * the effective capabilities change: as the thread never has the caller's real ids, the caller may
 * not send it signals.
 */
#ifndef IPCFS_IMPERSONATE_H
#define IPCFS_IMPERSONATE_H

#include "backends/contract/contract.h"

/* The capabilities of a thread, bit 1 << CAP_x each. */
struct ipcfs_capabilities {
	uint64_t effective, permitted, inheritable;
};

/* The credentials of a thread, and which of them were changed. */
struct ipcfs_credentials {
	uid_t uid; /* effective */
	gid_t gid; /* effective */
	struct ipcfs_capabilities capabilities;
	size_t ngroups;
	gid_t *groups;	  /* owned */
	unsigned changed; /* private to impersonate.c */
};

/*
 * Reads the credentials of this thread into *own, to be freed in any case.
 * -ENOMEM.
 */
int ipcfs_credentials_read(struct ipcfs_credentials *own);
void ipcfs_credentials_free(struct ipcfs_credentials *own);

/*
 * Runs work(arg) on this thread as the caller, who has to be loaded. Returns the result of work.
 * -EPERM: the process may not become the caller.
 * -ENOMEM.
 */
int ipcfs_impersonate(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg);

/*
 * Makes this process become the caller for good, with the caller's real and saved ids and permitted
 * capabilities as well. For a process with one thread that was just forked; *own was read before
 * the fork.
 * `user_ns` is a descriptor of the caller's user namespace, which the process joins; -1: it stays
 * in the daemon's. Of the caller's capabilities, it has those with which objects are made and
 * changed, or with `all` all of them. Async-signal-safe.
 * -EPERM: the process may not become the caller.
 */
int ipcfs_impersonate_for_good(const struct ipcfs_caller *caller,
			       const struct ipcfs_credentials *own, int user_ns, bool all);

#endif
