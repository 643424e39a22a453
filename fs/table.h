/* SPDX-License-Identifier: MIT */
/*
 * A growing table of equal items with numbers that fit on the wire: node ids and file handles are
 * indices into one of these. Items never move, so that a pointer stays good until its item is freed.
 *
 * Thread-safe. Item 0 is never handed out.
 */
#ifndef IPCFS_TABLE_H
#define IPCFS_TABLE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define IPCFS_TABLE_CHUNK 256
#define IPCFS_TABLE_CHUNKS 16384

struct ipcfs_table {
	pthread_mutex_t lock;
	size_t item_size; /* with the slot header, rounded up */
	uint32_t used;	  /* indices below were handed out once */
	uint32_t free;	  /* first of the freed ones, 0 = none */
	_Atomic(char *) *chunks;
};

/* -ENOMEM. Freed with ipcfs_table_destroy. */
int ipcfs_table_init(struct ipcfs_table *table, size_t item_size);
void ipcfs_table_destroy(struct ipcfs_table *table);

/* A new, zeroed item; its number in *index. NULL: no memory, or four million items. */
void *ipcfs_table_new(struct ipcfs_table *table, uint32_t *index);

/* The item of this number, NULL for a number that was never handed out. */
void *ipcfs_table_at(const struct ipcfs_table *table, uint64_t index);

/* How often this number was used before; with it a number is unique. */
uint32_t ipcfs_table_generation(const struct ipcfs_table *table, uint32_t index);

/* Clear the item and free its number. */
void ipcfs_table_free(struct ipcfs_table *table, uint32_t index);

#endif
