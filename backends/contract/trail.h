/* SPDX-License-Identifier: MIT */
/*
 * Trails: what the kernel tells of the names of POSIX objects that are made, removed and changed, in
 * order. It tells nobody of System V objects.
 */
#ifndef IPCFS_CONTRACT_TRAIL_H
#define IPCFS_CONTRACT_TRAIL_H

#include "backends/contract/contract.h"

struct ipcfs_trail {
	int inotify; /* -1: it is closed */
	int mq, shm; /* the watched directories; -1: the space has none */
	/* the latest file whose name may be a step of sem_open(3), and whether a semaphore came next */
	char step[NAME_MAX + 1];
	bool step_done;
};

enum ipcfs_trail_kind { IPCFS_TRAIL_MADE, IPCFS_TRAIL_REMOVED, IPCFS_TRAIL_CHANGED };

/* An act that has happened to a name. */
struct ipcfs_trail_record {
	enum ipcfs_trail_kind kind; /* CHANGED: owner, mode, times or an attribute */
	const struct ipcfs_class *class;
	bool step; /* REMOVED: sem_open(3) had made the name, to make another semaphore */
	char name[NAME_MAX + 1]; /* canonical */
};

/*
 * Opens a trail of the POSIX queues of `ipc` and of the files of `shm`. Close it with
 * ipcfs_trail_close.
 * -EMFILE, -ENOSPC: the user has no more instances of inotify(7), or watches.
 * Other errors of inotify_init1(2) and inotify_add_watch(2).
 */
int ipcfs_trail_open(struct ipcfs_trail *trail, const struct ipcfs_space *ipc,
		     const struct ipcfs_space *shm);
void ipcfs_trail_close(struct ipcfs_trail *trail);

/*
 * Calls each(arg) for the next records, a few hundred at most. Does not wait. A name may be that of
 * a file that `find` does not take for an object. Returns 1 if there may be more records, 0 at the
 * end. Ends early with the result of `each` when that is not 0, and drops the other records.
 * -EOVERFLOW: after these records the kernel has dropped some (fs.inotify.max_queued_events); there
 * may be more.
 * -EIO: a directory is not watched any more.
 */
int ipcfs_trail_read(struct ipcfs_trail *trail,
		     int (*each)(void *arg, const struct ipcfs_trail_record *record), void *arg);

#endif
