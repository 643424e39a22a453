/* SPDX-License-Identifier: MIT */
/*
 * Giving up capabilities that the daemon does not need after mounting; docs/security.md has the
 * reasons.
 */
#ifndef IPCFS_PRIVILEGE_H
#define IPCFS_PRIVILEGE_H

#include <stdbool.h>

/*
 * Gives up, for good, all capabilities of this thread that are in neither list of privilege.c, and
 * the ability to gain any by starting a program. A capability of the lists that the process does
 * not have is not missed. `audits`: keep CAP_AUDIT_WRITE. Call before there are other threads. A
 * negative errno was logged.
 */
int ipcfs_privilege_drop(bool audits);

#endif
