/* SPDX-License-Identifier: MIT */
/* In which IPC namespace a thread acts: what stands behind ipcfs_space_enter and ipcfs_space_run. */
#ifndef IPCFS_PRESENCE_H
#define IPCFS_PRESENCE_H

#include "backend.h"

/* What leaving leads to. 0, -errno. Before there are other threads. */
int ipcfs_presence_start(void);

/* From now on this descriptor of an IPC namespace is one of an empty one. */
void ipcfs_presence_forget(int ns);

/* The space's resident: not yet a thread. NULL: no memory. */
struct ipcfs_resident *ipcfs_resident_new(void);

/* Have those go home who stay in the namespace, which has ended; waits for that, a second at most. */
void ipcfs_resident_evict(struct ipcfs_resident *resident);

/* End its thread, if it has one, and have none any more. */
void ipcfs_resident_end(struct ipcfs_resident *resident);
void ipcfs_resident_free(struct ipcfs_resident *resident);

#endif
