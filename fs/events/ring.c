/* SPDX-License-Identifier: MIT */
#include "fs/events/ring.h"

#include <errno.h>
#include <stdlib.h>

const char *ipcfs_event_word(enum ipcfs_event_kind kind)
{
	static const char *const words[IPCFS_EVENT_KINDS] = {
		[IPCFS_EVENT_PRESENT] = "present",
		[IPCFS_EVENT_SYNC] = "sync",
		[IPCFS_EVENT_CREATED] = "created",
		[IPCFS_EVENT_REMOVED] = "removed",
		[IPCFS_EVENT_CHANGED] = "changed",
		[IPCFS_EVENT_FULL] = "full",
		[IPCFS_EVENT_EMPTY] = "empty",
		[IPCFS_EVENT_STALE] = "stale",
		[IPCFS_EVENT_HELD] = "held",
		[IPCFS_EVENT_RELEASED] = "released",
		[IPCFS_EVENT_RELEASED_BY_DEATH] = "released_by_death",
		[IPCFS_EVENT_LEASED] = "leased",
		[IPCFS_EVENT_RETURNED] = "returned",
		[IPCFS_EVENT_DENIED] = "denied",
		[IPCFS_EVENT_LOST] = "lost",
	};

	return words[kind];
}

int ipcfs_ring_init(struct ipcfs_ring *ring)
{
	ring->next = 1;
	ring->events = calloc(IPCFS_RING_EVENTS, sizeof(*ring->events));
	return ring->events ? 0 : -ENOMEM;
}

void ipcfs_ring_free(struct ipcfs_ring *ring)
{
	free(ring->events);
	ring->events = NULL;
}

void ipcfs_ring_add(struct ipcfs_ring *ring, const struct ipcfs_event *event)
{
	ring->events[ring->next++ % IPCFS_RING_EVENTS] = *event;
}

uint64_t ipcfs_ring_read(const struct ipcfs_ring *ring, uint64_t number, struct ipcfs_event *event)
{
	uint64_t oldest = ring->next > IPCFS_RING_EVENTS ? ring->next - IPCFS_RING_EVENTS : 1;

	if (number >= ring->next)
		return 0;
	if (number < oldest) {
		*event = (struct ipcfs_event){ .kind = IPCFS_EVENT_LOST, .count = oldest - number };
		event->time = ring->events[oldest % IPCFS_RING_EVENTS].time;
		return event->count;
	}
	*event = ring->events[number % IPCFS_RING_EVENTS];
	return 1;
}
