/* SPDX-License-Identifier: MIT */
/* Starting and ending feeds, and telling them what callers of the mount do. */
#ifndef IPCFS_EVENTS_H
#define IPCFS_EVENTS_H

#include "fs/events/feed.h"

/* Borrows the quota, which pays for what feeds know. */
void ipcfs_events_init(struct ipcfs_events *events, struct ipcfs_quota *quota,
		       void (*serve)(struct ipcfs_feed *feed));

/*
 * End all reads with ENOTCONN, or those of a namespace that has ended with EIDRM. `stop` waits
 * until all threads have ended.
 */
void ipcfs_events_stop(struct ipcfs_events *events);
void ipcfs_events_space_ended(struct ipcfs_events *events, const struct ipcfs_space *ipc);

/* Frees what is left when all files are closed. */
void ipcfs_events_destroy(struct ipcfs_events *events);

/* Returns whether somebody reads the events of a namespace. One atomic load. */
static inline bool ipcfs_events_wanted(const struct ipcfs_events *events)
{
	return atomic_load_explicit(&events->count, memory_order_relaxed) != 0;
}

/*
 * Begin and end an act that makes, removes or changes an object: `act` is what ipcfs_events_begin_act
 * has returned. ipcfs_events_tell comes before the end: a look that sees its result waits for that,
 * for a moment.
 */
unsigned ipcfs_events_begin_act(struct ipcfs_events *events);
void ipcfs_events_end_act(struct ipcfs_events *events, unsigned act);

/*
 * Tells the readers of all views that have the event's object. `space` is the object's. The time is
 * set here. Takes no lock if nobody reads.
 */
void ipcfs_events_tell(struct ipcfs_events *events, const struct ipcfs_space *space,
		       struct ipcfs_event *event);

/*
 * Adds a reader of a view, whose uid is set, and with the first one starts the feed. The reader is
 * charged for a share of what the feed knows until it leaves.
 * -ENOTCONN: the mount ends.
 * -ENOMEM.
 * -EAGAIN: no thread can be made.
 */
int ipcfs_feed_join(struct ipcfs_events *events, struct ipcfs_view *view,
		    struct ipcfs_event_reader *reader);

/* Removes the reader. The feed ends with the last one, which nobody waits for. */
void ipcfs_feed_leave(struct ipcfs_event_reader *reader);

#endif
