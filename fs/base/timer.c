/* SPDX-License-Identifier: MIT */
#include "fs/base/timer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "fs/base/clock.h"

#define NS_PER_MS 1000000
#define CAPACITY_MIN 64

void ipcfs_timers_free(struct ipcfs_timers *timers)
{
	free(timers->heap);
	*timers = (struct ipcfs_timers){ 0 };
}

/* Makes room for one more timer. -ENOMEM. */
static int reserve(struct ipcfs_timers *timers)
{
	size_t capacity = timers->capacity ? 2 * timers->capacity : CAPACITY_MIN;
	struct ipcfs_timer **heap;

	if (timers->count + 1 < timers->capacity) /* index 0 is not used */
		return 0;
	heap = reallocarray(timers->heap, capacity, sizeof(void *));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->capacity = capacity;
	return 0;
}

static void put(struct ipcfs_timers *timers, size_t place, struct ipcfs_timer *timer)
{
	timers->heap[place] = timer;
	timer->place = place;
}

/* Moves the timer up from a free place, as far as it has to go. */
static void sift_up(struct ipcfs_timers *timers, size_t place, struct ipcfs_timer *timer)
{
	while (place > 1 && timers->heap[place / 2]->deadline > timer->deadline) {
		put(timers, place, timers->heap[place / 2]);
		place /= 2;
	}
	put(timers, place, timer);
}

/* Moves the timer down from a free place, as far as it has to go. */
static void sift_down(struct ipcfs_timers *timers, size_t place, struct ipcfs_timer *timer)
{
	for (;;) {
		size_t below = 2 * place;

		if (below < timers->count &&
		    timers->heap[below + 1]->deadline < timers->heap[below]->deadline)
			below++;
		if (below > timers->count || timers->heap[below]->deadline >= timer->deadline)
			break;
		put(timers, place, timers->heap[below]);
		place = below;
	}
	put(timers, place, timer);
}

int ipcfs_timer_set(struct ipcfs_timers *timers, struct ipcfs_timer *timer, uint64_t deadline)
{
	int err = deadline ? reserve(timers) : 0;

	if (err || !deadline)
		return err;
	timer->deadline = deadline;
	sift_up(timers, ++timers->count, timer);
	return 0;
}

void ipcfs_timer_stop(struct ipcfs_timers *timers, struct ipcfs_timer *timer)
{
	size_t place = timer->place;
	struct ipcfs_timer *last;

	if (!place)
		return;
	timer->place = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (place > 1 && timers->heap[place / 2]->deadline > last->deadline)
		sift_up(timers, place, last);
	else
		sift_down(timers, place, last);
}

struct ipcfs_timer *ipcfs_timer_first(const struct ipcfs_timers *timers)
{
	return timers->count ? timers->heap[1] : NULL;
}

int ipcfs_timer_next(const struct ipcfs_timers *timers)
{
	const struct ipcfs_timer *first = ipcfs_timer_first(timers);
	uint64_t now = ipcfs_clock_ns(), ms;

	if (!first)
		return -1;
	if (first->deadline <= now)
		return 0;
	ms = (first->deadline - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}
