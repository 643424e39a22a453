/* SPDX-License-Identifier: MIT */
/* Giving up what the daemon needs no more once its mount is made. docs/security.md has the reasons. */
#ifndef IPCFS_PRIVILEGE_H
#define IPCFS_PRIVILEGE_H

#include <stdbool.h>

/*
 * Drop every capability that is in neither list below from all sets of this thread, for good, and
 * the ability to gain any by starting a program. What this process doesn't have is not missed: an
 * ordinary user, or root of a user namespace, keeps the part of it that is there. `audits`: keep what writing
 * to the Linux audit takes. Call it before there are other threads. 0, or a negative errno after logging what could not be given up.
 */
int ipcfs_privilege_drop(bool audits);

#endif
