/* SPDX-License-Identifier: MIT */
/* What the process has for itself: its limits, its memory, its umask. */
#ifndef IPCFS_PROCESS_H
#define IPCFS_PROCESS_H

#include <stdbool.h>

/* Sets up this process to serve a mount. With `debug` its memory may be looked at. */
void ipcfs_process_set_up(bool debug);

/*
 * Returns a descriptor of the file that an inherited one has. In a build with the thread sanitizer
 * it is another one, and the old one is closed: the sanitizer takes reads and writes for
 * synchronisation only if it has seen open(2).
 */
int ipcfs_process_own(int inherited);

#endif
