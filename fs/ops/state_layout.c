/* SPDX-License-Identifier: MIT */
#include "fs/ops/state_layout.h"

#include "backends/contract/contract.h"
#include "backends/contract/layout.h"
#include "fs/base/legacy.h"
#include "fs/base/unanswered.h"
#include "fs/queue/detached.h"
#include "fs/request/file_saved.h"
#include "fs/semaphore/hold.h"

/*
 * To be changed when something in the state means something else, and no size, offset or name below
 * tells.
 */
#define NAME "ipcfs-state-1"

uint64_t ipcfs_state_layout(void)
{
	uint64_t hash = ipcfs_layout_name(0, NAME);

	hash = ipcfs_legacy_layout(hash);
	hash = ipcfs_unanswered_layout(hash);
	hash = ipcfs_object_layout(hash);
	hash = ipcfs_node_layout(hash);
	hash = ipcfs_file_layout(hash);
	hash = ipcfs_hold_layout(hash);
	hash = ipcfs_detached_layout(hash);
	hash = ipcfs_holds_layout(hash);
	return ipcfs_leases_layout(hash);
}
