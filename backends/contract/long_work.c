/* SPDX-License-Identifier: MIT */
#include "backends/contract/long_work.h"

#include <errno.h>

static _Thread_local bool refused;

int ipcfs_long_work(void)
{
	return refused ? -ERESTART : 0;
}

void ipcfs_long_work_allow(bool allow)
{
	refused = !allow;
}
