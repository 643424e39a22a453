/* SPDX-License-Identifier: MIT */
/* What unanswered.c and effects.c know of each other. */
#ifndef IPCFS_UNANSWERED_INSIDE_H
#define IPCFS_UNANSWERED_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/ledger.h"
#include "fs/base/slot.h"

/* The request of a thread. */
struct ipcfs_own {
	struct ipcfs_ledger *ledger;   /* not owned; NULL: nothing is noted */
	struct ipcfs_slot *slot;       /* NULL: the thread has none */
	size_t size;		       /* of its bytes */
	atomic_ullong unique;	       /* 0: there is none */
	atomic_bool answered;	       /* by another thread */
	uint32_t index;		       /* in the ledger; 0: it is in the slot */
	struct ipcfs_effects *effects; /* of the request; NULL: they are not noted */
	uint64_t since;		       /* of a request of a worker before; 0: it came now */
	bool lost;	  /* such a request had effects before whose results are lost */
	size_t in_hand;	  /* bytes that the request has received, with their sizes */
	uint32_t resumed; /* its index in the ledger; 0: none is */
};

/* Returns that of this thread. */
struct ipcfs_own *ipcfs_own(void);

/* Returns the index in the ledger of what the request of a thread has received. 0: it has none. */
uint32_t ipcfs_own_hand(const struct ipcfs_own *own);

/* Clears what the request in a slot has received, or gives it back where that is much. */
void ipcfs_own_empty_hand(struct ipcfs_own *own);

#endif
