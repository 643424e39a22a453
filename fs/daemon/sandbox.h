/* SPDX-License-Identifier: MIT */
/* The system calls that the daemon may make once its mount is made. */
#ifndef IPCFS_SANDBOX_H
#define IPCFS_SANDBOX_H

#include <stdbool.h>

/*
 * Limits this thread, and every thread and process that it makes, to the system calls on a list.
 * Any other call fails with ENOSYS, as on a kernel that does not have it; libraries can handle
 * that. Programs can't be started. `namespaces`: allow the calls that -o namespaces needs. `log`:
 * the kernel logs refused calls. Call before there are other threads, and after
 * ipcfs_privilege_drop.
 *
 * Returns 0 also if ipcfs was built without libseccomp, or the kernel has no filters; both are
 * logged.
 *   -ENOMEM, -EINVAL: the filter can't be made or installed; logged.
 */
int ipcfs_sandbox_enter(bool namespaces, bool log);

/*
 * Limits the process that keeps holds of POSIX semaphores to the few calls that it makes. For
 * ipcfs_holds_start, after ipcfs_sandbox_enter.
 *
 * Returns 0 also where there are no filters.
 *   -ENOMEM, -EINVAL: the filter can't be made or installed.
 */
int ipcfs_sandbox_keeper(void);

/*
 * Limits a process that sends leased messages in the same way. For ipcfs_leases_start. Errors as
 * above.
 */
int ipcfs_sandbox_leases(void);

/* Limits the process for inotify(7) in the same way. For ipcfs_echo_start. Errors as above. */
int ipcfs_sandbox_echo(void);

#endif
