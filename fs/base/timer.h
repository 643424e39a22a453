/* SPDX-License-Identifier: MIT */
/* Timers: a heap by deadline, the first one on top. The owner of the heap has its lock. */
#ifndef IPCFS_TIMER_H
#define IPCFS_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct ipcfs_waiter;
struct ipcfs_poller;

struct ipcfs_timer {
	uint64_t deadline;	     /* ns of ipcfs_clock_ns */
	size_t place;		     /* in the heap, from 1 on; 0: the timer is not set */
	struct ipcfs_waiter *waiter; /* whose wait ends then; NULL: that of the poller */
	struct ipcfs_poller *poller;
};

/* Initialise with zeros. Free with ipcfs_timers_free. */
struct ipcfs_timers {
	struct ipcfs_timer *
		*heap; /* from index 1 on; each is not later than those at 2i and 2i + 1 */
	size_t count, capacity;
};

void ipcfs_timers_free(struct ipcfs_timers *timers);

/*
 * Sets a timer, which is not set. Does nothing if the deadline is 0.
 * -ENOMEM: it is not set.
 */
int ipcfs_timer_set(struct ipcfs_timers *timers, struct ipcfs_timer *timer, uint64_t deadline);

/* Takes a timer out of the heap, if it is set. */
void ipcfs_timer_stop(struct ipcfs_timers *timers, struct ipcfs_timer *timer);

/* Returns the timer with the first deadline. NULL: none is set. */
struct ipcfs_timer *ipcfs_timer_first(const struct ipcfs_timers *timers);

/* Returns the time until the first deadline: ms, rounded up; 0: it is over; -1: there is none. */
int ipcfs_timer_next(const struct ipcfs_timers *timers);

#endif
