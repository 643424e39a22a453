/* SPDX-License-Identifier: MIT */
/*
 * Room fs/events: what happens to the objects of a view, for those who read the file `events`.
 * May be called by the rooms above it, from tree to daemon.
 * May call fs/namespaces, fs/access, fs/base and backends/contract.
 *
 * This header has an event.
 */
#ifndef IPCFS_EVENT_H
#define IPCFS_EVENT_H

#include "backends/contract/contract.h"

enum ipcfs_event_kind {
	IPCFS_EVENT_PRESENT, /* an object that is there when a reader begins; in no ring */
	IPCFS_EVENT_SYNC,    /* the end of these; in no ring */
	IPCFS_EVENT_CREATED,
	IPCFS_EVENT_REMOVED,
	IPCFS_EVENT_CHANGED, /* owner, group, mode, qbytes or size */
	IPCFS_EVENT_FULL,
	IPCFS_EVENT_EMPTY,
	IPCFS_EVENT_STALE,
	IPCFS_EVENT_HELD,
	IPCFS_EVENT_RELEASED,
	IPCFS_EVENT_RELEASED_BY_DEATH,
	IPCFS_EVENT_LEASED,
	IPCFS_EVENT_RETURNED,
	IPCFS_EVENT_DENIED,
	IPCFS_EVENT_LOST, /* events that a reader was too late for */
	IPCFS_EVENT_KINDS
};

/* The caller that an event is by, as the daemon's namespaces number it. */
struct ipcfs_actor {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* of the thread; 0: it is not known */
};

#define IPCFS_EVENT_DETAIL 48 /* bytes, with a NUL */

/* Plain data. */
struct ipcfs_event {
	enum ipcfs_event_kind kind;
	const struct ipcfs_class *class; /* NULL: the event is of no object */
	struct ipcfs_ref ref;
	struct ipcfs_perm perm; /* of the object at that moment */
	bool by_mount;		/* a caller of the mount did it; else it was found */
	struct ipcfs_actor actor;
	struct timespec time; /* of CLOCK_REALTIME */
	uint64_t count;	      /* LOST: how many */
	char detail[IPCFS_EVENT_DETAIL];
};

/* Returns the word for a kind of event. */
const char *ipcfs_event_word(enum ipcfs_event_kind kind);

#endif
