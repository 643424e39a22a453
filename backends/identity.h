/* SPDX-License-Identifier: MIT */
/*
 * Acting as a caller, so that the kernel judges what they ask for. On this thread only; only the
 * effective ids, the groups and the effective capabilities change, so that the caller, whose real
 * ids the thread does not get, may not signal it.
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
 * Become the caller (loaded), until ipcfs_identity_give_back. -EPERM: this process may not, nothing
 * has changed then; -ENOMEM. Capabilities are the caller's, as far as we have them ourselves.
 *
 * A process without the privilege to change its ids can act for callers who are what it is itself:
 * equal ids, and none of its groups is one they don't have.
 */
int ipcfs_identity_take(const struct ipcfs_caller *caller, struct ipcfs_identity *own);

/* Be ourselves again, and free what take allocated. errno is kept. */
void ipcfs_identity_give_back(struct ipcfs_identity *own);

/*
 * Become the caller for good, real and saved ids and permitted capabilities as well: for a
 * disposable process that was just forked and read *own before. Async-signal-safe. -EPERM.
 */
int ipcfs_identity_become(const struct ipcfs_caller *caller, const struct ipcfs_identity *own);

#endif
