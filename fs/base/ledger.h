/* SPDX-License-Identifier: MIT */
/*
 * The notes of a worker for its successor (daemon/supervisor.h): an entry for each object,
 * node, open file, hold and parked request, in memory that both share. An entry is made, changed
 * and dropped by one store, so a worker can be killed at any moment, and its successor finds either
 * what was there before or what is there now.
 *
 * The memory has the entries only. Which blocks are free is known to the worker alone, and its
 * successor finds it out from the entries.
 *
 * Thread-safe, but only one thread at a time may write one entry.
 */
#ifndef IPCFS_LEDGER_H
#define IPCFS_LEDGER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "fs/base/table.h"

enum ipcfs_ledger_shelf {
	IPCFS_LEDGER_OBJECTS,
	IPCFS_LEDGER_NODES,
	IPCFS_LEDGER_FILES,
	IPCFS_LEDGER_HOLDS,
	IPCFS_LEDGER_DETACHED, /* messages that the daemon sends by itself (queue/detached.h) */
	IPCFS_LEDGER_REQUESTS,
	IPCFS_LEDGER_HANDS,   /* what a request has received (unanswered.h) */
	IPCFS_LEDGER_SHELVES, /* the number of shelves */
};

#define IPCFS_LEDGER_CHUNK (256 * 1024) /* bytes */
#define IPCFS_LEDGER_CHUNKS 16384

/* The shared memory. Zeros are an empty ledger. Only what is written takes memory. */
struct ipcfs_ledger_memory {
	/* By index: the place of the entry in `area`, plus 1; 0: there is none. */
	_Atomic uint64_t places[IPCFS_LEDGER_SHELVES][IPCFS_TABLE_MAX];
	_Atomic uint32_t most[IPCFS_LEDGER_SHELVES]; /* no higher index has an entry */
	char area[(size_t)IPCFS_LEDGER_CHUNKS * IPCFS_LEDGER_CHUNK] __attribute__((aligned(4096)));
};

struct ipcfs_ledger;

/*
 * Opens the ledger, and drops entries that can't be. Close it with ipcfs_ledger_close; the memory
 * stays. NULL: there is no memory.
 */
struct ipcfs_ledger *ipcfs_ledger_open(struct ipcfs_ledger_memory *memory);
void ipcfs_ledger_close(struct ipcfs_ledger *ledger);

/*
 * Makes the entry of this index (1 to IPCFS_TABLE_MAX - 1) from these bytes, in place of the one
 * that was there.
 * -ENOMEM: the old entry is still there.
 */
int ipcfs_ledger_put(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t index,
		     const struct iovec *parts, int count);

/*
 * Makes an entry of `size` bytes, in place of the one that was there, of which it begins with up to
 * `keep` bytes. The others are zeros, or what is left of earlier entries. Returns them as
 * ipcfs_ledger_at. NULL: there is no memory, and the old entry is still there.
 */
void *ipcfs_ledger_reserve(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
			   uint32_t index, size_t size, size_t keep);

/* Gives an entry another index of its shelf, which has none. */
void ipcfs_ledger_move(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t from,
		       uint32_t to);

/* Drops the entry of this index, if there is one, and clears its bytes. */
void ipcfs_ledger_drop(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t index);

/*
 * Returns the bytes of an entry, aligned to 8, until its next change. A word in it may be stored
 * to. *size: their number. NULL: there is none.
 */
void *ipcfs_ledger_at(const struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
		      uint32_t index, size_t *size);

/* Returns the lowest index above `after` that has an entry. 0: there is none. */
uint32_t ipcfs_ledger_next(const struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
			   uint32_t after);

#endif
