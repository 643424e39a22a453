/* SPDX-License-Identifier: MIT */
#include "fs/wait/waits_inside.h"

#include <errno.h>
#include <unistd.h>

void ipcfs_waits_wake(struct ipcfs_waits *waits)
{
	uint64_t one = 1;

	while (write(waits->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}
