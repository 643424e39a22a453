/* SPDX-License-Identifier: MIT */
/*
 * A table of items of one size that grows and shrinks. An item never moves: a pointer to it is
 * valid until the item is freed. Thread-safe.
 *
 * An item has an index, which another item has after it, and a number, which no other item ever has
 * (but for the one that is made 2^42 items later, at the same index). Node ids and file handles of
 * the FUSE protocol are such numbers: one that the kernel still has, and the daemon does not, names
 * nothing. Index and number 0 are never used. The first item has the index and the number 1.
 *
 * Items stand in chunks. New items get low indexes, so that chunks at the end become empty. Of
 * empty chunks all but one are freed.
 */
#ifndef IPCFS_TABLE_H
#define IPCFS_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define IPCFS_TABLE_CHUNK 256 /* items */
#define IPCFS_TABLE_CHUNKS 16384
#define IPCFS_TABLE_MAX (IPCFS_TABLE_CHUNK * IPCFS_TABLE_CHUNKS) /* items at once, with 0 */
#define IPCFS_TABLE_RANDOM 64

/* The free items of a chunk. Those in the chunk are counted from 1 on; 0: none. */
struct ipcfs_table_room {
	uint16_t items; /* in use */
	uint16_t used;	/* that were handed out since the chunk was made */
	uint16_t free;	/* the first of the freed ones */
};

struct ipcfs_table {
	pthread_mutex_t lock;
	size_t item_size;	/* bytes, with the slot header, rounded up */
	uint64_t made;		/* items since the table was initialised, or before: see continue */
	_Atomic uint64_t *mark; /* not less than `made`; NULL: no table comes after this one */
	uint32_t used;		/* the lowest index that was never handed out */
	uint32_t first;		/* no chunk before this one has room */
	uint32_t spare;		/* a chunk that is empty and not freed yet; 0: none */
	_Atomic(char *) *chunks;
	struct ipcfs_table_room *room; /* of each chunk */
	uint32_t nrandom;	       /* unused numbers in `random` */
	uint32_t random[IPCFS_TABLE_RANDOM];
};

/* Initialises a table of items of `item_size` bytes. Free with ipcfs_table_destroy. -ENOMEM. */
int ipcfs_table_init(struct ipcfs_table *table, size_t item_size);
void ipcfs_table_destroy(struct ipcfs_table *table);

/*
 * Gives further items no number that a table with the same mark gave to one, in this process or in
 * another one that has ended. *mark, 0 in the beginning, is not owned.
 */
void ipcfs_table_continue(struct ipcfs_table *table, _Atomic uint64_t *mark);

/*
 * Returns a new item, all zeros, and its index. NULL: no memory, or there are four million items.
 */
void *ipcfs_table_new(struct ipcfs_table *table, uint32_t *index);

/* Returns the index that an item with this number has. */
static inline uint32_t ipcfs_table_index(uint64_t number)
{
	return (uint32_t)(number % IPCFS_TABLE_MAX);
}

/*
 * Makes the item of this index anew, all zeros, as it was in a table that this one continues.
 * `number` 0: it gets a number. Call before there are new items, with rising indexes. NULL: no
 * memory, or there is no such index.
 */
void *ipcfs_table_restore(struct ipcfs_table *table, uint32_t index, uint64_t number,
			  uint32_t generation);

/*
 * Returns the item of this index, or, if it is free, zeros. NULL: there is no memory of such an
 * item. Call while the item, or one of a chunk behind it, can't be freed.
 */
void *ipcfs_table_at(const struct ipcfs_table *table, uint32_t index);

/* Returns the item of this number, whatever number it is. NULL: there is none, or it was freed. */
void *ipcfs_table_find(struct ipcfs_table *table, uint64_t number);

/* Returns the number of the item of this index. */
uint64_t ipcfs_table_number(const struct ipcfs_table *table, uint32_t index);

/* Returns a random number that the item got when it was made. */
uint32_t ipcfs_table_generation(const struct ipcfs_table *table, uint32_t index);

/* Clears the item and frees its index. */
void ipcfs_table_free(struct ipcfs_table *table, uint32_t index);

#endif
