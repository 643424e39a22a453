/* SPDX-License-Identifier: MIT */
/*
 * For: acting as a caller, so that the kernel decides about the caller's request.
 * Called by: backends/space, backends/posix, backends/sysv.
 * May call: backends/contract, backends/base, the C library.
 *
 * A caller of the daemon's user
 * namespace is impersonated by the calling thread. A caller of another user namespace is
 * impersonated by a child process that joins that namespace, once impersonate_child.h has enabled
 * this.
 */
#ifndef IPCFS_ACT_AS_H
#define IPCFS_ACT_AS_H

#include "backends/contract/caller.h"

/*
 * Runs work(arg) as the caller, who has to be loaded. Returns the result of work: 0 or more, or a
 * negative errno.
 *
 * A child process may run work. There, work finds a copy of the daemon's memory; only its changes
 * to the `size` bytes of *arg come back, and descriptors that it opens are lost. So work makes
 * system calls only, and answers in *arg. Ids that work passes to the kernel are numbers of the
 * caller's user namespace: get them from ipcfs_act_as_uid and ipcfs_act_as_gid.
 *
 * The capabilities during work are the caller's. On the daemon's own thread, they are those of the
 * caller that the daemon has as well.
 *
 * A daemon that may not change its ids can act for callers with its own ids, if the caller is in
 * all groups of the daemon.
 *
 * -EPERM: the daemon may not become the caller, or the caller is gone.
 * -EINTR: the caller killed the child process.
 * -ENOMEM, -EAGAIN.
 */
int ipcfs_act_as(const struct ipcfs_caller *caller, int (*work)(void *arg), void *arg, size_t size);

/*
 * Translates a user or group id of the daemon into the number that work has to pass for it.
 * -EINVAL: the id has no number in the caller's user namespace.
 */
int ipcfs_act_as_uid(const struct ipcfs_caller *caller, uid_t uid, uid_t *there);
int ipcfs_act_as_gid(const struct ipcfs_caller *caller, gid_t gid, gid_t *there);

#endif
