/* SPDX-License-Identifier: MIT */
#include "fs/base/table.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MARK_STEP 4096 /* numbers that one store to the mark covers */

/* Stands in front of each item. */
struct slot {
	alignas(max_align_t) uint64_t number; /* 0: the item is free */
	uint32_t generation;
	uint16_t next_free; /* as ipcfs_table_room.free */
};

int ipcfs_table_init(struct ipcfs_table *table, size_t item_size)
{
	size_t align = alignof(max_align_t);

	*table = (struct ipcfs_table){
		.item_size = (sizeof(struct slot) + item_size + align - 1) / align * align,
		.used = 1,
	};
	table->chunks = calloc(IPCFS_TABLE_CHUNKS, sizeof(*table->chunks));
	table->room = calloc(IPCFS_TABLE_CHUNKS, sizeof(*table->room));
	if (!table->chunks || !table->room) {
		free(table->chunks);
		free(table->room);
		table->chunks = NULL;
		return -ENOMEM;
	}
	/* index 0 stays free */
	table->room[0] = (struct ipcfs_table_room){ .items = 1, .used = 1 };
	pthread_mutex_init(&table->lock, NULL);
	return 0;
}

void ipcfs_table_destroy(struct ipcfs_table *table)
{
	if (!table->chunks)
		return;
	for (size_t i = 0; i < IPCFS_TABLE_CHUNKS; i++)
		free(atomic_load(&table->chunks[i]));
	free(table->chunks);
	free(table->room);
	pthread_mutex_destroy(&table->lock);
	table->chunks = NULL;
}

static struct slot *slot_at(const struct ipcfs_table *table, uint32_t index)
{
	char *chunk;

	if (index == 0 || index >= IPCFS_TABLE_MAX)
		return NULL;
	chunk = atomic_load_explicit(&table->chunks[index / IPCFS_TABLE_CHUNK],
				     memory_order_acquire);
	if (!chunk)
		return NULL;
	return (struct slot *)(void *)(chunk + index % IPCFS_TABLE_CHUNK * table->item_size);
}

void ipcfs_table_continue(struct ipcfs_table *table, _Atomic uint64_t *mark)
{
	uint64_t before = atomic_load(mark);

	pthread_mutex_lock(&table->lock);
	table->mark = mark;
	if (table->made < before)
		table->made = before;
	pthread_mutex_unlock(&table->lock);
}

/* Sets the number that no other item gets. Call with table->lock held. */
static void set_number(struct ipcfs_table *table, struct slot *slot, uint32_t index)
{
	slot->number = table->made++ * IPCFS_TABLE_MAX + index;
	/* before the kernel learns the number: a process that is killed leaves the mark */
	if (table->mark && table->made > atomic_load(table->mark))
		atomic_store(table->mark, table->made + MARK_STEP);
}

/*
 * Sets a new generation. Random, so that nobody guesses the file handle of another's file. Call
 * with table->lock held.
 */
static void set_generation(struct ipcfs_table *table, struct slot *slot)
{
	if (!table->nrandom) {
		if (getrandom(table->random, sizeof(table->random), 0) < 0)
			return; /* not reached: so few bytes are always there */
		table->nrandom = IPCFS_TABLE_RANDOM;
	}
	slot->generation = table->random[--table->nrandom];
}

/* Makes the memory of a chunk, if there is none. Call with table->lock held. -ENOMEM. */
static int make_chunk(struct ipcfs_table *table, uint32_t chunk)
{
	char *fresh;

	if (atomic_load_explicit(&table->chunks[chunk], memory_order_relaxed))
		return 0;
	fresh = calloc(IPCFS_TABLE_CHUNK, table->item_size);
	if (!fresh)
		return -ENOMEM;
	atomic_store_explicit(&table->chunks[chunk], fresh, memory_order_release);
	return 0;
}

/* Takes the lowest free index, or nearly. Call with table->lock held. 0: there is none. */
static uint32_t take_index(struct ipcfs_table *table)
{
	struct ipcfs_table_room *room;
	uint32_t index;

	while (table->first < IPCFS_TABLE_CHUNKS &&
	       table->room[table->first].items == IPCFS_TABLE_CHUNK)
		table->first++;
	if (table->first == IPCFS_TABLE_CHUNKS || make_chunk(table, table->first))
		return 0;
	if (table->first == table->spare)
		table->spare = 0;
	room = &table->room[table->first];
	index = table->first * IPCFS_TABLE_CHUNK;
	if (room->free) {
		index += room->free - 1U;
		room->free = slot_at(table, index)->next_free;
	} else {
		index += room->used++;
	}
	room->items++;
	if (index >= table->used)
		table->used = index + 1;
	return index;
}

/*
 * Keeps the lower one of two empty chunks. Returns the other's memory, for free(3), if there were
 * two. Call with table->lock held.
 */
static char *keep_empty(struct ipcfs_table *table, uint32_t chunk)
{
	uint32_t drop = chunk > table->spare ? chunk : table->spare;

	table->room[chunk] = (struct ipcfs_table_room){ 0 };
	if (!table->spare) {
		table->spare = chunk;
		return NULL;
	}
	table->spare = chunk < table->spare ? chunk : table->spare;
	return atomic_exchange_explicit(&table->chunks[drop], NULL, memory_order_relaxed);
}

/* Gives an index back. Returns memory as keep_empty does. Call with table->lock held. */
static char *put_index(struct ipcfs_table *table, uint32_t index)
{
	uint32_t chunk = index / IPCFS_TABLE_CHUNK;
	struct ipcfs_table_room *room = &table->room[chunk];

	if (chunk < table->first)
		table->first = chunk;
	if (--room->items == 0)
		return keep_empty(table, chunk);
	slot_at(table, index)->next_free = room->free;
	room->free = (uint16_t)(index % IPCFS_TABLE_CHUNK + 1);
	return NULL;
}

void *ipcfs_table_new(struct ipcfs_table *table, uint32_t *index)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&table->lock);
	*index = take_index(table);
	if (*index) {
		slot = slot_at(table, *index);
		set_number(table, slot, *index);
		set_generation(table, slot);
	}
	pthread_mutex_unlock(&table->lock);
	return slot ? slot + 1 : NULL;
}

/* Has an index, above all that were taken, in use. Call with table->lock held. -ENOMEM. */
static int take_this_index(struct ipcfs_table *table, uint32_t index)
{
	uint32_t chunk = index / IPCFS_TABLE_CHUNK, place = index % IPCFS_TABLE_CHUNK;
	struct ipcfs_table_room *room = &table->room[chunk];

	if (make_chunk(table, chunk))
		return -ENOMEM;
	for (; room->used < place; room->used++) {
		slot_at(table, chunk * IPCFS_TABLE_CHUNK + room->used)->next_free = room->free;
		room->free = room->used + 1;
	}
	room->used++;
	room->items++;
	table->used = index + 1;
	return 0;
}

void *ipcfs_table_restore(struct ipcfs_table *table, uint32_t index, uint64_t number,
			  uint32_t generation)
{
	struct slot *slot = NULL;

	if (index >= IPCFS_TABLE_MAX || (number && ipcfs_table_index(number) != index))
		return NULL;
	pthread_mutex_lock(&table->lock);
	if (index >= table->used && !take_this_index(table, index)) {
		slot = slot_at(table, index);
		set_number(table, slot, index);
		if (number)
			slot->number = number;
		slot->generation = generation;
	}
	pthread_mutex_unlock(&table->lock);
	return slot ? slot + 1 : NULL;
}

void *ipcfs_table_at(const struct ipcfs_table *table, uint32_t index)
{
	struct slot *slot = slot_at(table, index);

	return slot ? slot + 1 : NULL;
}

void *ipcfs_table_find(struct ipcfs_table *table, uint64_t number)
{
	struct slot *slot;

	pthread_mutex_lock(&table->lock); /* the chunk of a number that is gone may be freed now */
	slot = slot_at(table, ipcfs_table_index(number));
	if (slot && slot->number != number)
		slot = NULL;
	pthread_mutex_unlock(&table->lock);
	return slot ? slot + 1 : NULL;
}

uint64_t ipcfs_table_number(const struct ipcfs_table *table, uint32_t index)
{
	return slot_at(table, index)->number;
}

uint32_t ipcfs_table_generation(const struct ipcfs_table *table, uint32_t index)
{
	return slot_at(table, index)->generation;
}

void ipcfs_table_free(struct ipcfs_table *table, uint32_t index)
{
	struct slot *slot = slot_at(table, index);
	char *empty;

	if (!slot)
		return;
	explicit_bzero(slot + 1, table->item_size - sizeof(*slot));
	pthread_mutex_lock(&table->lock);
	slot->number = 0;
	empty = put_index(table, index);
	pthread_mutex_unlock(&table->lock);
	free(empty);
}
