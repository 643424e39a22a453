/* SPDX-License-Identifier: MIT */
/*
 * Work that takes longer than a few ms because an object is large, or because there are many. The
 * threads that are there for the next request do none of it: the request is put aside, and a thread
 * that may do long work handles it from the beginning.
 */
#ifndef IPCFS_LONG_WORK_H
#define IPCFS_LONG_WORK_H

#include <stdbool.h>

#define IPCFS_LONG_FREE (32 << 20) /* bytes of memory: to free more takes longer, 4 ms and more */

/*
 * Asks for leave to begin long work, before anything has an effect. The caller returns the error.
 * -ERESTART: not by this thread.
 */
int ipcfs_long_work(void);

/* Sets whether this thread may do long work. A thread that never calls this may. */
void ipcfs_long_work_allow(bool allow);

#endif
