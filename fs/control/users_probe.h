/* SPDX-License-Identifier: MIT */
/*
 * How a process uses an object: its descriptors and its mappings, as /proc shows them. The kernel
 * takes the lock of a process's memory for its mappings, which the process can hold as long as it
 * likes, so a thread of its own looks, and whoever asks waits for a limited time.
 */
#ifndef IPCFS_USERS_PROBE_H
#define IPCFS_USERS_PROBE_H

#include "backends/contract/contract.h"

/* How a process uses an object, or'ed. */
enum ipcfs_use {
	IPCFS_USE_OPEN = 1 << 0,
	IPCFS_USE_MAPPED = 1 << 1,
	IPCFS_USE_ATTACHED = 1 << 2,
	IPCFS_USE_REGISTERED = 1 << 3,
	IPCFS_USE_MOUNT = 1 << 4, /* it has a file of the mount open */
	/* it may also use the object in other ways: it could not be looked into in time */
	IPCFS_USE_UNKNOWN = 1 << 5,
};

/* What to look for. */
struct ipcfs_sought {
	struct ipcfs_trace trace; /* all zero: only files of the mount */
	dev_t mount;		  /* the device of the mount; 0: not looked for */
	struct ipcfs_text inodes; /* of uint64_t, sorted: the object's open files in the mount */
};

/* Sorts the inodes. Call it when all are there. */
void ipcfs_sought_sort(struct ipcfs_sought *sought);

struct ipcfs_probe_thread;

/* How long a prober looks into processes, ns. One that is over this time looks into none. */
#define IPCFS_PROBER_NS UINT64_C(2000000000)

/* Looks into one process after another. Belongs to one thread. */
struct ipcfs_prober {
	const struct ipcfs_sought *sought; /* borrowed */
	struct ipcfs_probe_thread
		*thread; /* NULL: none has been needed, or the last one is stuck */
	uint64_t spent;	 /* ns of looking so far; begins with 0 */
	/* Tells whether nobody wants the answer any more; asked every 50 ms. NULL: never. */
	bool (*is_gone)(void *arg);
	void *arg;
};

/*
 * Looks into a process: `directory` is a descriptor of its directory in /proc. Returns IPCFS_USE_*,
 * or'ed; 0: the process does not use the object, or has ended. Waits half a second for a thread
 * that sleeps. When the prober has looked for IPCFS_PROBER_NS in all, this process and all further
 * ones are IPCFS_USE_UNKNOWN.
 * While a thread is stuck in a process, no other process that the same user answers for is looked
 * into: each of them is IPCFS_USE_UNKNOWN.
 * -EINTR: is_gone was true.
 * -ENOMEM: there is no thread to look with.
 */
int ipcfs_prober_look(struct ipcfs_prober *prober, int directory, pid_t pid);

/* Ends the prober's thread, which ends by itself if it is stuck. */
void ipcfs_prober_end(struct ipcfs_prober *prober);

#endif
