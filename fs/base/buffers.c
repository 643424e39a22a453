/* SPDX-License-Identifier: MIT */
#include "fs/base/buffers.h"

#include <stdlib.h>
#include <string.h>

void ipcfs_buffers_init(struct ipcfs_buffers *buffers)
{
	*buffers = (struct ipcfs_buffers){ .count = 0 };
	pthread_mutex_init(&buffers->lock, NULL);
}

void ipcfs_buffers_destroy(struct ipcfs_buffers *buffers)
{
	while (buffers->count)
		free(buffers->kept[--buffers->count]);
	pthread_mutex_destroy(&buffers->lock);
}

void *ipcfs_buffers_get(struct ipcfs_buffers *buffers)
{
	void *buffer = NULL;

	pthread_mutex_lock(&buffers->lock);
	if (buffers->count)
		buffer = buffers->kept[--buffers->count];
	pthread_mutex_unlock(&buffers->lock);
	return buffer ? buffer : malloc(IPCFS_BUFFER_SIZE);
}

void ipcfs_buffers_put(struct ipcfs_buffers *buffers, void *buffer, size_t used)
{
	explicit_bzero(buffer, used);
	pthread_mutex_lock(&buffers->lock);
	if (buffers->count < IPCFS_BUFFERS_KEPT) {
		buffers->kept[buffers->count++] = buffer;
		buffer = NULL;
	}
	pthread_mutex_unlock(&buffers->lock);
	free(buffer);
}
