/* SPDX-License-Identifier: MIT */
/*
 * Holds: an open of `hold`, `tryhold` or `monitor` for writing takes 1 from the semaphore. The last
 * close of the open file gives it back, in whichever process that close happens. A monitor also
 * gives its hold back and takes another one while it is open (monitor.h).
 */
#ifndef IPCFS_HOLD_H
#define IPCFS_HOLD_H

#include "fs/request/file.h"

struct ipcfs_semaphore_waiter;
struct ipcfs_waiter;

/*
 * Takes a hold, now or when the semaphore allows it, and answers the open. Does not wait for
 * tryhold, or with O_NONBLOCK in `flags`. If the hold can't be taken, closes the semaphore and
 * frees the file.
 */
void ipcfs_hold_open(fuse_req_t req, struct ipcfs_file *file, int flags);

/*
 * Has the waiter take a hold: one operation of -1. Its answer passes waiter->hold to
 * ipcfs_hold_taken, or frees it.
 * -ENOMEM
 */
int ipcfs_hold_prepare(struct ipcfs_semaphore_waiter *waiter);

/*
 * Attempts to take the waiter's hold, unless a worker before has taken it. For struct
 * ipcfs_waiter_ops.
 * -ENOMEM: the next worker would not know of it.
 * The errors of ipcfs_operation_attempt.
 */
ssize_t ipcfs_hold_attempt(struct ipcfs_waiter *base, bool wait);

/* Notes that the waiter has taken the semaphore: the hold is its file's from now on. */
void ipcfs_hold_taken(struct ipcfs_semaphore_waiter *waiter);

/*
 * Takes the hold out of the file, to be given back. NULL: the file has none. ipcfs_hold_attach puts
 * it into the file again.
 */
struct ipcfs_hold *ipcfs_hold_detach(struct ipcfs_file *file);
void ipcfs_hold_attach(struct ipcfs_file *file, struct ipcfs_hold *hold);

/* Returns whether the file has a hold. */
bool ipcfs_hold_is_attached(struct ipcfs_file *file);

/*
 * Returns whether a worker before has taken the file's hold for the request of this thread, which
 * it has left.
 */
bool ipcfs_hold_was_taken(struct ipcfs_file *file);

/*
 * Gives a detached hold back, and frees it. The handle is the object's. `comes_again`: if the
 * worker dies of it, the request finds the hold in the file once more.
 */
void ipcfs_hold_give_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int handle,
			  struct ipcfs_hold *hold, bool comes_again);

/*
 * Gives the hold of a file back for a request, which counts that as a call (effects.h): when it comes
 * again, it may not find the hold.
 * -EPERM: the file has none.
 */
int ipcfs_hold_leave(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/* Frees a hold that is in no list, and drops its entry. NULL is fine. */
void ipcfs_hold_free(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold);

/* Notes whether this thread, which closes the file, was killed. Called for monitors alone. */
void ipcfs_hold_flush(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid);

/*
 * Returns IPCFS_FOPEN_* for the answer to an open that takes a hold. Of a monitor the kernel sends
 * FLUSH, which alone tells whether the process that closes was killed.
 */
unsigned ipcfs_hold_open_flags(const struct ipcfs_file *file);

/*
 * Gives the file's hold back, if it has one. Returns whether its holder may have been killed; a
 * death that was seen is counted. Call while the file's handle is open.
 */
bool ipcfs_hold_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/*
 * Returns how many holders status shows. Opens the semaphore only where holds have it open.
 * -ENOMEM, and the errors of ipcfs_object_open.
 */
int ipcfs_hold_count(struct ipcfs_objects *objects, struct ipcfs_object *object);

/* Returns how many holds there are, with those that are void. */
size_t ipcfs_hold_number(struct ipcfs_object *object);

/* Adds the layout of a hold in the ledger to a hash: see layout.h. */
uint64_t ipcfs_hold_layout(uint64_t hash);

/* Makes the table of holds. -ENOMEM. */
int ipcfs_holds_init(struct ipcfs_filesystem *fs);

/*
 * Gives the holds that a worker before has left to the files that have them. What was under way
 * is found out. Call when the objects and the files are there, before there are threads.
 */
void ipcfs_holds_restore(struct ipcfs_filesystem *fs);

/* Gives back what no request has asked for again. Call when all requests have come again. */
void ipcfs_holds_restored(struct ipcfs_filesystem *fs);

/*
 * Appends the lines of status about holders, living and dead.
 * -ENOMEM
 */
int ipcfs_hold_status(struct ipcfs_object *object, int handle, struct ipcfs_text *out);

#endif
