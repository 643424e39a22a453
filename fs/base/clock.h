/* SPDX-License-Identifier: MIT */
/* The monotonic clock, and condition variables that wait by it. */
#ifndef IPCFS_CLOCK_H
#define IPCFS_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Returns the time of CLOCK_MONOTONIC, in ns. */
uint64_t ipcfs_clock_ns(void);

/* Returns the time of `clock` in `ms` milliseconds, for pthread_cond_timedwait(3) and others. */
struct timespec ipcfs_clock_after(clockid_t clock, unsigned ms);

/* Initialises a condition variable that takes times of CLOCK_MONOTONIC. */
void ipcfs_clock_cond_init(pthread_cond_t *cond);

#endif
