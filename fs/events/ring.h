/* SPDX-License-Identifier: MIT */
/* The latest events of a view. Each has a number, from 1 on. Pure; the caller locks. */
#ifndef IPCFS_RING_H
#define IPCFS_RING_H

#include "fs/events/event.h"

#define IPCFS_RING_EVENTS 1024
#define IPCFS_RING_BYTES (IPCFS_RING_EVENTS * sizeof(struct ipcfs_event))

struct ipcfs_ring {
	struct ipcfs_event *events; /* IPCFS_RING_EVENTS; owned */
	uint64_t next;		    /* the number of the event that comes next */
};

/* Makes an empty ring. Free it with ipcfs_ring_free. -ENOMEM. */
int ipcfs_ring_init(struct ipcfs_ring *ring);
void ipcfs_ring_free(struct ipcfs_ring *ring);

/* Adds an event. The oldest one goes where the ring is full. */
void ipcfs_ring_add(struct ipcfs_ring *ring, const struct ipcfs_event *event);

/*
 * Gives a reader the event of this number. If it has gone, *event is of IPCFS_EVENT_LOST and says
 * how many have. Returns how far the reader's number has to move. 0: there is no such event yet.
 */
uint64_t ipcfs_ring_read(const struct ipcfs_ring *ring, uint64_t number, struct ipcfs_event *event);

#endif
