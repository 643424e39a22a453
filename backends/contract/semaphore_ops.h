/* SPDX-License-Identifier: MIT */
/* The part of a class of semaphores. contract.h says what holds for all its functions. */
#ifndef IPCFS_SEMAPHORE_OPS_H
#define IPCFS_SEMAPHORE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/object_info.h"
#include "backends/contract/space.h"
#include "backends/contract/text.h"

/* An operation on one semaphore: adds delta, or with a delta of 0 requires that the value is 0. */
struct ipcfs_semaphore_op {
	uint32_t number;
	int32_t delta;
};

enum ipcfs_semaphore_flag {
	IPCFS_SEMAPHORE_WAIT = 1 << 0, /* wait until all operations can be done */
	/* A hold: one operation of -1, which is undone when this process ends in whatever way. */
	IPCFS_SEMAPHORE_UNDO = 1 << 1,
};

/*
 * Semaphores: a set (System V), or a single one (POSIX). A handle comes from open and stays valid
 * until close. Every function of a handle fails with -EIDRM once the semaphore was removed.
 */
struct ipcfs_semaphore_ops {
	bool sets; /* semaphores have numbers, which one call can combine; else the number is 0 */
	uint32_t value_max; /* the largest value */

	/*
	 * Opens the semaphore.
	 * -ENOENT: the semaphore was removed.
	 * -EIDRM: another semaphore has the name now.
	 * -EACCES: the daemon may not open it.
	 * -ENOMEM.
	 */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref, int *handle);
	void (*close)(int handle);

	/* Sets *perm in the cheapest way, as it is called for every request. */
	int (*perm)(int handle, struct ipcfs_perm *perm);

	/*
	 * Reads the value.
	 * -EFBIG: there is no semaphore of this number.
	 */
	int (*get)(int handle, uint32_t number, uint32_t *value);

	/*
	 * Sets the value, and voids all holds of this semaphore: nothing is given back for them
	 * later.
	 * -ERANGE: the value is too large.
	 * -EFBIG: there is no semaphore of this number.
	 */
	int (*set)(int handle, uint32_t number, uint32_t value);

	/*
	 * Appends all values, as uint32_t. NULL: the class has no sets.
	 * -ENOMEM: nothing has changed.
	 */
	int (*get_all)(int handle, struct ipcfs_text *values);

	/*
	 * Sets all values at once. NULL: the class has no sets.
	 * -EINVAL: `count` is not the number of semaphores.
	 * -ERANGE: a value is too large.
	 * -ENOMEM.
	 */
	int (*set_all)(int handle, const uint32_t *values, size_t count);

	/*
	 * Does all operations at once, or none. With IPCFS_SEMAPHORE_WAIT, blocks while they cannot
	 * be done, for half a second at most: its caller then checks permissions again, and calls
	 * again.
	 * -EAGAIN: they cannot be done now, without IPCFS_SEMAPHORE_WAIT.
	 * -EINTR: they could not be done in half a second, or a signal ended the waiting.
	 * -ERANGE: a value would become too large, or a delta is too large.
	 * -EFBIG: there is no semaphore of this number.
	 * -E2BIG: there are too many operations.
	 * -EINVAL: this class cannot do these operations.
	 * -ENOSPC, -ENOMEM: no more holds are possible.
	 */
	int (*operate)(int handle, const struct ipcfs_semaphore_op *ops, size_t count,
		       unsigned flags);

	/*
	 * Gives back one hold, and returns 0. `rank` is the hold's place among those of this
	 * semaphore that were not given back, the newest being 1. Returns 1, and gives back
	 * nothing, when the hold is void: a process has set the value since. One call at a time for
	 * each semaphore.
	 */
	int (*give_back)(int handle, uint32_t number, unsigned rank);

	/* Returns how many of the `taken` holds of this semaphore are not void. */
	int (*held)(int handle, uint32_t number, unsigned taken);

	/*
	 * Appends the status lines that only callers with read permission may see. Asks is_gone(arg)
	 * every few ms.
	 * -EINTR: is_gone was true; part of the lines is there.
	 * -ERESTART: it takes long (long_work.h).
	 * -ENOMEM.
	 */
	int (*describe)(int handle, bool (*is_gone)(void *arg), void *arg, struct ipcfs_text *out);
};

#endif
