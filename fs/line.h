/* SPDX-License-Identifier: MIT */
/* The waiting room from inside: shared by room.c, line.c, line_thread.c and poll.c only. */
#ifndef IPCFS_LINE_H
#define IPCFS_LINE_H

#include "room.h"

#define IPCFS_ROOM_TICK 20 /* ms: sampling, where the kernel offers no event */

/*
 * Waiters and pollers for one thing: an object, a direction and, where receiving is selective, a
 * selector. Everything is guarded by the room's lock; only the loop thread frees a line.
 */
struct ipcfs_line {
	struct ipcfs_object *object; /* a reference */
	enum ipcfs_direction direction;
	long selector;
	int handle; /* a use of the object's */
	struct ipcfs_waiter *head;
	struct ipcfs_poller *pollers;
	struct ipcfs_line *next, *prev; /* all lines of the room */
	struct ipcfs_line *next_of_object;
	struct ipcfs_line *next_dirty;
	int64_t polled;	 /* when somebody polled it last, ms */
	bool dirty;	 /* the loop thread is to look at it */
	bool registered; /* with epoll */
	bool alone;	 /* of one waiter, who waits for something of his own */

	/* lines that wait by a call */
	bool threaded; /* it has a thread */
	bool calling;  /* which sits in the call, or is about to */
	bool kick;     /* and is to come out of it */
	pid_t tid;
	pthread_cond_t arrival;
};

struct ipcfs_room {
	struct ipcfs_filesystem *fs;
	int epoll, wake;
	pthread_t loop;
	bool started;
	int64_t rechecked; /* the loop thread's: when it last looked at sends under way, ms */

	pthread_mutex_t lock; /* guards what follows */
	bool stopping;
	struct ipcfs_line *lines, *dirty;
	struct ipcfs_waiter *interrupted;
	unsigned threads;      /* of lines */
	unsigned calls_to_end; /* lines with kick set */
	unsigned watching;     /* interrupted waiters that wait on */
	unsigned sampled;      /* lines without descriptor that have pollers */
	unsigned sending;      /* lines whose thread sits in a send */
	int watch; /* readable when an object may have been removed or changed by others; -1: nothing is watched */
};

/* Called with the lock held, as all that follows unless it says otherwise. */

/* The line for this, made where there is none, or always (`alone`). NULL: no memory. */
struct ipcfs_line *ipcfs_line_get(struct ipcfs_room *room, struct ipcfs_object *object,
				  enum ipcfs_direction direction, long selector, bool alone);
/* The loop thread is to look at it. */
void ipcfs_line_touch(struct ipcfs_room *room, struct ipcfs_line *line);
bool ipcfs_line_is_idle(const struct ipcfs_line *line);
/* The loop thread only: out of every list. The line is then freed, without the lock, by: */
void ipcfs_line_remove(struct ipcfs_room *room, struct ipcfs_line *line);
void ipcfs_line_free(struct ipcfs_room *room, struct ipcfs_line *line);

/* Out of its line, to be answered by the caller with ipcfs_waiter_finish once the lock is released. */
void ipcfs_waiter_leave(struct ipcfs_room *room, struct ipcfs_waiter *waiter);

/* Without the lock: answer a waiter that left its line, and free it. */
void ipcfs_waiter_finish(struct ipcfs_room *room, struct ipcfs_waiter *waiter, ssize_t result);

/* Have the line's thread come out of its call. */
void ipcfs_line_kick(struct ipcfs_room *room, struct ipcfs_line *line);
/* Give the line a thread, or wake the one that lingers. 0 or -errno of pthread_create. */
int ipcfs_line_start(struct ipcfs_room *room, struct ipcfs_line *line);

/* Without the lock: notify the line's pollers if it is ready. */
void ipcfs_line_notify(struct ipcfs_room *room, struct ipcfs_line *line);

/* A clock, ms. */
int64_t ipcfs_room_now(void);

/* Without the lock: wake the loop thread. */
void ipcfs_room_wake(struct ipcfs_room *room);

/* The loop thread. */
void *ipcfs_room_loop(void *room);

static inline bool ipcfs_line_has_descriptor(const struct ipcfs_line *line)
{
	return line->object->class->queue && line->object->class->queue->pollable;
}

#endif
