/* SPDX-License-Identifier: MIT */
#include "fs/ops/file_groups.h"

#include "fs/control/control.h"
#include "fs/control/events.h"
#include "fs/queue/channel.h"
#include "fs/segment/segment.h"
#include "fs/semaphore/semaphore.h"

const struct ipcfs_file_ops *ipcfs_ops_of(enum ipcfs_node_kind kind)
{
	static const struct ipcfs_file_ops none;
	static const struct ipcfs_file_ops *const groups[IPCFS_GROUPS] = {
		[IPCFS_GROUP_NONE] = &none,
		[IPCFS_GROUP_QUEUE] = &ipcfs_channel_file_ops,
		[IPCFS_GROUP_SEMAPHORE] = &ipcfs_semaphore_file_ops,
		[IPCFS_GROUP_SEGMENT] = &ipcfs_segment_file_ops,
		[IPCFS_GROUP_CONTROL] = &ipcfs_control_file_ops,
		[IPCFS_GROUP_EVENTS] = &ipcfs_events_file_ops,
	};

	return groups[ipcfs_file_kinds[kind].group];
}
