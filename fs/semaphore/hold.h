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

/* Gives a detached hold back, and frees it. The handle is the object's. */
void ipcfs_hold_give_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int handle,
			  struct ipcfs_hold *hold);

/* Notes whether this thread, which closes the file, was killed. Called for monitors alone. */
void ipcfs_hold_flush(struct ipcfs_file *file, pid_t tid);

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

/*
 * Appends the lines of status about holders, living and dead.
 * -ENOMEM
 */
int ipcfs_hold_status(struct ipcfs_object *object, int handle, struct ipcfs_text *out);

#endif
