/* SPDX-License-Identifier: MIT */
#include "backends/posix/posix_sem_slots.h"

#include <errno.h>
#include <sys/mman.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/layout.h"

#define SLOTS IPCFS_POSIX_SEM_SLOTS
#define NONE IPCFS_POSIX_SEM_NO_SLOT

/* The shared memory. Zeros are an empty table. */
struct table {
	_Atomic uint32_t used;	 /* slots ever used */
	_Atomic uint32_t serial; /* of the last order to the keeper */
	struct ipcfs_posix_sem_slot slots[SLOTS];
};

volatile _Atomic uint64_t *ipcfs_posix_sem_words[SLOTS];

static struct {
	struct table *table;  /* NULL: it is not mapped */
	bool known;	      /* what a worker before has left was looked at */
	uint32_t left;	      /* slots that it has left, and that this process does not use yet */
	uint32_t free;	      /* first slot of the free list */
	uint32_t next[SLOTS]; /* behind a slot of that list */
} own = { .free = NONE };

/* Maps the memory of a file, or of none (-1). */
static int map(int file)
{
	void *table = mmap(NULL, sizeof(*own.table), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);

	if (table == MAP_FAILED)
		return -ENOMEM;
	own.table = table;
	return 0;
}

int ipcfs_posix_sem_slots_map(void)
{
	return own.table ? 0 : map(-1);
}

int ipcfs_posix_sem_slots_share(int *file)
{
	if (own.table)
		(void)munmap(own.table, sizeof(*own.table));
	own.table = NULL;
	if (*file < 0)
		*file = ipcfs_descriptor_memory("ipcfs-holds", sizeof(*own.table));
	return map(*file);
}

uint64_t ipcfs_posix_sem_slots_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct table),
		offsetof(struct table, serial),
		offsetof(struct table, slots),
		sizeof(struct ipcfs_posix_sem_slot),
		offsetof(struct ipcfs_posix_sem_slot, serial),
		offsetof(struct ipcfs_posix_sem_slot, key),
		ipcfs_posix_sem_entry(1, IPCFS_POSIX_SEM_TAKING, 1),
		ipcfs_posix_sem_entry(1, IPCFS_POSIX_SEM_GIVING, 1),
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

struct ipcfs_posix_sem_slot *ipcfs_posix_sem_slot_at(uint32_t index)
{
	return &own.table->slots[index];
}

uint32_t ipcfs_posix_sem_slot_index(const ipcfs_posix_sem_record *record)
{
	return (uint32_t)((const struct ipcfs_posix_sem_slot *)(const void *)record -
			  own.table->slots);
}

static void put_on_free_list(uint32_t index)
{
	own.next[index] = own.free;
	own.free = index;
}

/* Finds out, once, which slots a worker before has left. */
static void know_slots(void)
{
	if (own.known)
		return;
	own.known = true;
	for (uint32_t i = own.table->used; i-- > 0;) {
		if (own.table->slots[i].serial)
			own.left++;
		else
			put_on_free_list(i);
	}
}

uint32_t ipcfs_posix_sem_slot_take(void)
{
	uint32_t index;

	know_slots();
	index = own.free;
	if (index != NONE)
		own.free = own.next[index];
	else if (own.table->used < SLOTS)
		index = own.table->used++;
	return index;
}

void ipcfs_posix_sem_slot_drop(uint32_t index, bool reusable)
{
	struct ipcfs_posix_sem_slot *slot = &own.table->slots[index];

	if (slot->serial && !ipcfs_posix_sem_words[index])
		own.left--;
	slot->record = 0;
	slot->serial = 0;
	ipcfs_posix_sem_words[index] = NULL;
	if (reusable)
		put_on_free_list(index);
}

uint32_t ipcfs_posix_sem_slot_left(uint32_t index)
{
	know_slots();
	for (; own.left && index < own.table->used; index++)
		if (own.table->slots[index].serial && !ipcfs_posix_sem_words[index])
			return index;
	return NONE;
}

uint32_t ipcfs_posix_sem_slot_find(const struct ipcfs_posix_sem_id *id)
{
	uint32_t index = own.table ? ipcfs_posix_sem_slot_left(0) : NONE;

	while (index != NONE && (own.table->slots[index].serial != id->serial ||
				 own.table->slots[index].key != id->key))
		index = ipcfs_posix_sem_slot_left(index + 1);
	if (index != NONE)
		own.left--;
	return index;
}

uint32_t ipcfs_posix_sem_slots_serial(void)
{
	return ++own.table->serial;
}
