/* SPDX-License-Identifier: MIT */
/*
 * Large buffers for the bytes that a request reads from a segment or writes to it. A few of them
 * are kept for later requests: memory that is fresh from the kernel costs more than copying the
 * bytes. A buffer is cleared when it is given back. Thread-safe.
 */
#ifndef IPCFS_BUFFERS_H
#define IPCFS_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#define IPCFS_BUFFER_SIZE ((size_t)1 << 20) /* bytes; no read(2) or write(2) request is larger */
#define IPCFS_BUFFERS_KEPT 2

struct ipcfs_buffers {
	pthread_mutex_t lock; /* guards what follows */
	unsigned count;
	void *kept[IPCFS_BUFFERS_KEPT];
};

void ipcfs_buffers_init(struct ipcfs_buffers *buffers);
void ipcfs_buffers_destroy(struct ipcfs_buffers *buffers);

/* Returns IPCFS_BUFFER_SIZE bytes, to be given back with ipcfs_buffers_put. NULL: no memory. */
void *ipcfs_buffers_get(struct ipcfs_buffers *buffers);

/* Takes a buffer back, and clears its first `used` bytes. */
void ipcfs_buffers_put(struct ipcfs_buffers *buffers, void *buffer, size_t used);

#endif
