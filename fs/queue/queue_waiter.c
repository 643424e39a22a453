/* SPDX-License-Identifier: MIT */
#include "fs/queue/queue_waiter.h"

enum ipcfs_framing ipcfs_channel_framing(const struct ipcfs_file *file)
{
	switch (file->key.kind) {
	case IPCFS_NODE_LINES:
	case IPCFS_NODE_DRAIN:
		return IPCFS_FRAMING_LINES;
	case IPCFS_NODE_TAGGED:
		return IPCFS_FRAMING_TAGGED;
	case IPCFS_NODE_RECORDS:
		return IPCFS_FRAMING_RECORDS;
	default:
		return IPCFS_FRAMING_NONE;
	}
}

long ipcfs_channel_type(const struct ipcfs_class *class, const struct ipcfs_file *file)
{
	return file->key.selected ? file->key.selector : class->queue->type_plain;
}
