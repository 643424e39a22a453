/* SPDX-License-Identifier: MIT */
/* Lines of the log that users cause: of a flood only a few a second are logged. */
#ifndef IPCFS_LOG_SHARE_H
#define IPCFS_LOG_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define IPCFS_LOG_SHARE 10 /* lines of one sort in a second */

/* The lines of one sort, by all threads. */
struct ipcfs_log_share {
	pthread_mutex_t lock; /* PTHREAD_MUTEX_INITIALIZER */
	uint64_t second;
	unsigned lines;		/* logged in this second */
	unsigned long left_out; /* since the last line */
};

/* Returns whether to log a line now. *left_out: how many lines were not logged before it. */
bool ipcfs_log_may(struct ipcfs_log_share *share, unsigned long *left_out);

#endif
