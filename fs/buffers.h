/* SPDX-License-Identifier: MIT */
/*
 * Large buffers for the bytes of a segment on their way through: made once, since memory that is fresh from
 * the kernel costs more than the bytes that go through it. Cleared whenever they are given back.
 */
#ifndef IPCFS_BUFFERS_H
#define IPCFS_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#define IPCFS_BUFFER_SIZE ((size_t)1 << 20) /* no read(2) or write(2) request is larger */
#define IPCFS_BUFFERS_KEPT 2

struct ipcfs_buffers {
	pthread_mutex_t lock;
	unsigned count;
	void *kept[IPCFS_BUFFERS_KEPT];
};

void ipcfs_buffers_init(struct ipcfs_buffers *buffers);
void ipcfs_buffers_destroy(struct ipcfs_buffers *buffers);

/* IPCFS_BUFFER_SIZE bytes, given back with put. NULL: no memory. */
void *ipcfs_buffers_get(struct ipcfs_buffers *buffers);

/* The first `used` bytes are cleared. */
void ipcfs_buffers_put(struct ipcfs_buffers *buffers, void *buffer, size_t used);

#endif
