/* SPDX-License-Identifier: MIT */
/* The state of the wait room. For the sources of fs/wait/ only. */
#ifndef IPCFS_WAITS_INSIDE_H
#define IPCFS_WAITS_INSIDE_H

#include "fs/request/file.h"

struct ipcfs_waiter;
struct ipcfs_waitqueue;

struct ipcfs_waits {
	struct ipcfs_filesystem *fs;
	void (*unclaimed)(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type);
	int epoll;
	int wake; /* an eventfd that wakes the loop thread */
	pthread_t loop;
	bool started;	       /* the loop thread runs, or is to be joined */
	int64_t sends_checked; /* when sends were last checked, ms; for the loop thread */
	unsigned round;	       /* of looks at interrupted waiters; for the loop thread */

	pthread_mutex_t lock; /* guards everything below */
	bool stopping;
	bool resting;			  /* nothing is served any more */
	bool unarmed;			  /* epoll does not wait for some waitqueue */
	struct ipcfs_waitqueue *queues;	  /* all of them */
	struct ipcfs_waitqueue *dirty;	  /* those that the loop thread is to serve */
	struct ipcfs_waiter *interrupted; /* by the kernel's INTERRUPT; not yet ended */
	struct ipcfs_timers timers;	  /* of waiters and pollers in waitqueues */
	unsigned threads;		  /* of waitqueues */
	unsigned kicked;		  /* waitqueues whose thread has not yet left its call */
	unsigned interrupts_ignored;	  /* interrupted waiters that go on waiting */
	unsigned polled;		  /* waitqueues without a descriptor that have pollers */
	unsigned sending;		  /* ordered waitqueues whose thread sits in a send */
	int watch;			  /* for ipcfs_class.watch; -1: no class has made one */
	bool watches;			  /* the loop thread waits for it */
};

/* Returns the time of CLOCK_MONOTONIC, in ms. */
int64_t ipcfs_waits_now(void);

/* Wakes the loop thread. Call with or without the lock. */
void ipcfs_waits_wake(struct ipcfs_waits *waits);

#endif
