/* SPDX-License-Identifier: MIT */
/* The memory of a request, which workers share: see unanswered.h. */
#ifndef IPCFS_SLOT_H
#define IPCFS_SLOT_H

#include <stdatomic.h>
#include <stdint.h>

#define IPCFS_SLOTS 257 /* one for each session thread, and the main thread's */
#define IPCFS_SLOT_BYTES (1024 * 1024 + 8192) /* no request is longer */

#define IPCFS_CALL 4

/* The effects that a request had. */
struct ipcfs_effects {
	_Atomic uint32_t lost; /* it had one, or may have had, and nobody knows its result */
	/*
	 * Calls that were made, each with its effect, times IPCFS_CALL; and what is known of the
	 * one that is made now.
	 */
	_Atomic uint32_t calls;
	_Atomic uint32_t skip; /* of the calls, those that a worker has not repeated yet */
};

/* The request of a thread. Its bytes begin with their number, a word, 0: there is none. */
struct ipcfs_slot {
	char request[IPCFS_SLOT_BYTES] __attribute__((aligned(4096)));
	_Atomic uint64_t arrived; /* how many requests came before it, and 1; 0: not noted yet */
	struct ipcfs_effects effects;
	_Atomic uint32_t interrupted; /* by the kernel's INTERRUPT */
	_Atomic uint32_t done;	      /* it is not to be handled again */
};

#endif
