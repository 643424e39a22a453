/* SPDX-License-Identifier: MIT */
#include "fs/base/clock.h"

#define SECOND 1000000000 /* ns */

uint64_t ipcfs_clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

struct timespec ipcfs_clock_after(clockid_t clock, unsigned ms)
{
	struct timespec time;

	(void)clock_gettime(clock, &time);
	time.tv_sec += ms / 1000;
	time.tv_nsec += ms % 1000 * 1000000L;
	if (time.tv_nsec >= SECOND) {
		time.tv_sec++;
		time.tv_nsec -= SECOND;
	}
	return time;
}

void ipcfs_clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}
