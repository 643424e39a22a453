/* SPDX-License-Identifier: MIT */
#include "backends/space/reference.h"

bool ipcfs_space_has_ended(const struct ipcfs_space *space)
{
	return atomic_load_explicit(&space->ended, memory_order_acquire);
}

void ipcfs_space_ref(struct ipcfs_space *space)
{
	atomic_fetch_add_explicit(&space->references, 1, memory_order_relaxed);
}

void ipcfs_space_unref(struct ipcfs_space *space)
{
	if (!space || atomic_fetch_sub_explicit(&space->references, 1, memory_order_acq_rel) > 1)
		return;
	space->destroy(space);
}
