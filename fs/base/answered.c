/* SPDX-License-Identifier: MIT */
#include "fs/base/answered.h"

#include <stddef.h>

static _Thread_local struct ipcfs_turns *own;

void ipcfs_answered_init(struct ipcfs_turns *turns)
{
	own = turns;
}

void ipcfs_answered_allow(void)
{
	if (own != NULL)
		atomic_store(&own->held, atomic_load(&own->now));
}

bool ipcfs_answered(void)
{
	return own != NULL && atomic_load(&own->answered) == atomic_load(&own->now);
}

void ipcfs_answered_again(bool interrupted)
{
	if (own == NULL)
		return;
	own->again = true;
	own->interrupted = interrupted;
}

bool ipcfs_answered_second(void)
{
	return own != NULL && own->second;
}
