/* SPDX-License-Identifier: MIT */
/*
 * Monitors: a semaphore as a mutex with conditions. The open file is the occupant. Opening
 * `monitor` for writing enters, by a hold; the last close leaves. Each write is one verb.
 *
 * A `wait` is one waiter with two phases. It first is a sleeper of the semaphore's waitqueue,
 * without a hold. When it is notified, it is roused: it becomes the last of those who wait to
 * enter. So a condition is no more than the name that its sleepers have.
 */
#ifndef IPCFS_MONITOR_H
#define IPCFS_MONITOR_H

#include "fs/request/file.h"

struct ipcfs_waiter;

/*
 * Does the verb that was written to a file of kind IPCFS_NODE_MONITOR, and answers, now or later.
 */
void ipcfs_monitor_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

/* Notifies all who wait in the monitor of this semaphore, whatever their condition. */
void ipcfs_monitor_rouse_all(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
			     long number);

/*
 * Returns the name of the condition for which a parked waiter waits. NULL: for none. Call with the
 * wait room's lock held.
 */
const char *ipcfs_monitor_condition(const struct ipcfs_waiter *waiter);

#endif
