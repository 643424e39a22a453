/* SPDX-License-Identifier: MIT */
#include "fs/base/log_share.h"

#include "fs/base/clock.h"

#define SECOND_NS 1000000000

bool ipcfs_log_may(struct ipcfs_log_share *share, unsigned long *left_out)
{
	uint64_t second = ipcfs_clock_ns() / SECOND_NS;
	bool may;

	pthread_mutex_lock(&share->lock);
	if (share->second != second) {
		share->second = second;
		share->lines = 0;
	}
	may = share->lines < IPCFS_LOG_SHARE;
	if (may) {
		share->lines++;
		*left_out = share->left_out;
		share->left_out = 0;
	} else {
		share->left_out++;
	}
	pthread_mutex_unlock(&share->lock);
	return may;
}
