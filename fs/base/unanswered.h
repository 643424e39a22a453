/* SPDX-License-Identifier: MIT */
/*
 * Requests that the kernel waits for, as a worker keeps them for its successor (legacy.h): each as
 * it was read from /dev/fuse, until it is answered. The successor handles them again from their
 * beginning, but for the effects that they had (effects.h). A request that had an effect whose
 * result is lost gets EIO instead.
 *
 * A session thread reads into a slot of shared memory. A request that is parked, or put aside, has
 * an entry of the ledger. Without a successor nothing is noted.
 */
#ifndef IPCFS_UNANSWERED_H
#define IPCFS_UNANSWERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipcfs_legacy;
struct ipcfs_ledger;

/* Notes requests from now on. Call once, before there are threads. */
void ipcfs_unanswered_use(struct ipcfs_legacy *legacy, struct ipcfs_ledger *ledger);

/*
 * Has this thread use the slot of this index from now on. Returns its memory for requests. NULL:
 * nothing is noted.
 */
void *ipcfs_unanswered_slot(unsigned index);

/* Gives the memory of a long request in this thread's slot back to the system. */
void ipcfs_unanswered_give_back(size_t from, size_t to);

/* Reads a request into this thread's slot, or into `bytes` where it has none. As read(2). */
long ipcfs_unanswered_read(int fd, void *bytes, size_t size);

/*
 * Begins with a request that this thread has not read now: it was put aside. Nothing but
 * ipcfs_unanswered_end ends it.
 */
void ipcfs_unanswered_begin(uint64_t unique);

/* Ends this thread's request. If it was not answered yet, it is kept in the ledger. */
void ipcfs_unanswered_end(void);

/* Notes that a request was answered, by whichever thread. */
void ipcfs_unanswered_answered(uint64_t unique);

/* Answers a request with a negative errno, as ipcfs_fuse_header_refuse, and notes that. */
bool ipcfs_unanswered_refuse(int fd, uint64_t unique, int err);

/*
 * Keeps the request of this thread in the ledger, since another thread will answer it. Returns its
 * index there, for ipcfs_unanswered_resume. 0: nothing is noted.
 */
uint32_t ipcfs_unanswered_park(void);

/* Adds the layout of a request in the ledger to a hash: see layout.h. */
uint64_t ipcfs_unanswered_layout(uint64_t hash);

struct ipcfs_effects;

/* The request of a thread, while it goes on with another one. */
struct ipcfs_unanswered_before {
	struct ipcfs_effects *effects;
	uint32_t index;
	size_t in_hand;
};

/*
 * Goes on with a request that was parked, or with none (0), until ipcfs_unanswered_rest. Returns
 * what that gets.
 */
struct ipcfs_unanswered_before ipcfs_unanswered_resume(uint32_t index);
void ipcfs_unanswered_rest(struct ipcfs_unanswered_before before);

/* Notes one more call of a request that was parked, and that no thread handles now. 0: of none. */
void ipcfs_unanswered_called(uint32_t index);

/* Returns when the request of this thread came, ns of ipcfs_clock_ns, or nearly: mostly now. */
uint64_t ipcfs_unanswered_since(void);

/*
 * Returns whether a worker before has made calls for this request of the thread that were not made
 * again, although it is answered now: their results would be lost.
 */
bool ipcfs_unanswered_misses(uint64_t unique);

/* Returns the number of the request of this thread, or of the one that it resumed. 0: unknown. */
uint64_t ipcfs_unanswered_unique(void);

/* Returns whether a worker before has left the request of this thread. */
bool ipcfs_unanswered_is_left(void);

/* Returns whether that request had an effect whose result is lost. */
bool ipcfs_unanswered_is_lost(void);

/*
 * Returns whether a request that a worker before may have left has made more than so many calls, or
 * was answered. Call before ipcfs_unanswered_replay.
 */
bool ipcfs_unanswered_has_made(uint64_t unique, uint32_t calls);

/* A request that a worker has left. */
struct ipcfs_unanswered {
	void *bytes; /* of the request; a copy */
	size_t size;
	bool interrupted; /* by the kernel's INTERRUPT */
	bool lost;	  /* it had an effect whose result is lost, unless its open file has it */
	bool bad; /* two workers have died of it, or it came before what was open was dropped */
};

/*
 * Calls `handle` for each request that a worker before has left, in the order in which they came. A
 * request that is not answered then is kept. -ENOMEM: some were left out.
 */
int ipcfs_unanswered_replay(void (*handle)(void *arg, const struct ipcfs_unanswered *request),
			    void *arg);

#endif
