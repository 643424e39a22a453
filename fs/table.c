/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	alignas(max_align_t) uint32_t next_free;
	uint32_t generation;
};

int ipcfs_table_init(struct ipcfs_table *table, size_t item_size)
{
	size_t align = alignof(max_align_t);

	*table = (struct ipcfs_table){
		.item_size = (sizeof(struct slot) + item_size + align - 1) / align * align,
		.used = 1,
	};
	table->chunks = calloc(IPCFS_TABLE_CHUNKS, sizeof(*table->chunks));
	if (!table->chunks)
		return -ENOMEM;
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
	pthread_mutex_destroy(&table->lock);
	table->chunks = NULL;
}

static struct slot *slot_at(const struct ipcfs_table *table, uint64_t index)
{
	char *chunk;

	if (index == 0 || index / IPCFS_TABLE_CHUNK >= IPCFS_TABLE_CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&table->chunks[index / IPCFS_TABLE_CHUNK],
				     memory_order_acquire);
	if (!chunk)
		return NULL;
	return (struct slot *)(void *)(chunk + index % IPCFS_TABLE_CHUNK * table->item_size);
}

/* Called with the lock held. */
static uint32_t take_unused(struct ipcfs_table *table)
{
	uint32_t index = table->used;
	size_t chunk = index / IPCFS_TABLE_CHUNK;

	if (chunk >= IPCFS_TABLE_CHUNKS)
		return 0;
	if (!atomic_load_explicit(&table->chunks[chunk], memory_order_relaxed)) {
		char *fresh = calloc(IPCFS_TABLE_CHUNK, table->item_size);

		if (!fresh)
			return 0;
		atomic_store_explicit(&table->chunks[chunk], fresh, memory_order_release);
	}
	table->used++;
	return index;
}

void *ipcfs_table_new(struct ipcfs_table *table, uint32_t *index)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&table->lock);
	*index = table->free;
	if (*index) {
		slot = slot_at(table, *index);
		table->free = slot->next_free;
	} else {
		*index = take_unused(table);
		if (*index)
			slot = slot_at(table, *index);
	}
	pthread_mutex_unlock(&table->lock);
	return slot ? slot + 1 : NULL;
}

void *ipcfs_table_at(const struct ipcfs_table *table, uint64_t index)
{
	struct slot *slot = slot_at(table, index);

	return slot ? slot + 1 : NULL;
}

uint32_t ipcfs_table_generation(const struct ipcfs_table *table, uint32_t index)
{
	return slot_at(table, index)->generation;
}

void ipcfs_table_free(struct ipcfs_table *table, uint32_t index)
{
	struct slot *slot = slot_at(table, index);

	if (!slot)
		return;
	explicit_bzero(slot + 1, table->item_size - sizeof(*slot));
	pthread_mutex_lock(&table->lock);
	slot->generation++;
	slot->next_free = table->free;
	table->free = index;
	pthread_mutex_unlock(&table->lock);
}
