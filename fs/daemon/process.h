/* SPDX-License-Identifier: MIT */
/* What the process has for itself: its limits, its memory, its umask. */
#ifndef IPCFS_PROCESS_H
#define IPCFS_PROCESS_H

#include <stdbool.h>

/* Sets up this process to serve a mount. With `debug` its memory may be looked at. */
void ipcfs_process_set_up(bool debug);

#endif
