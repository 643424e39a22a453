/* SPDX-License-Identifier: MIT */
/*
 * The trimmer: a thread that has the kernel forget nodes of a uid that uses more than half of
 * max_bytes, and gives memory back to the system when many nodes are gone. It sleeps otherwise.
 */
#ifndef IPCFS_TRIM_H
#define IPCFS_TRIM_H

#include "fs/tree/state.h"

/* Starts the thread; fs->session is set. The errors of pthread_create, negative. */
int ipcfs_trim_start(struct ipcfs_filesystem *fs);

/* Ends the thread, if it was started. */
void ipcfs_trim_stop(struct ipcfs_filesystem *fs);

#endif
