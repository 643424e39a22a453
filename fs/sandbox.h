/* SPDX-License-Identifier: MIT */
/* The system calls that the daemon may make once its mount is made. */
#ifndef IPCFS_SANDBOX_H
#define IPCFS_SANDBOX_H

#include <stdbool.h>

/*
 * From here on this thread, and every thread and process it makes, can make no system call but
 * those on the list: any other fails with ENOSYS, as on a kernel that doesn't know it, which is
 * what libraries are prepared for. Programs can't be started. With `log` the kernel logs what was
 * refused. Call it before there are other threads, and after ipcfs_privilege_drop.
 *
 * 0, also where it is not built in or the kernel has no filters (logged); -ENOMEM, -EINVAL, logged.
 */
int ipcfs_sandbox_enter(bool namespaces, bool log);

#endif
