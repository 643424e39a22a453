/* SPDX-License-Identifier: MIT */
/*
 * The semaphores with holds, each in a slot: its record is in memory that the daemon shares with
 * the keeper (posix_sem_keeper.h), and with -o supervise with the next workers. A worker finds
 * the slots of the one before by the semaphore's file. Every function is called with the lock of posix_sem_keeper.c
 * held, but for those that run in the keeper.
 */
#ifndef IPCFS_POSIX_SEM_SLOTS_H
#define IPCFS_POSIX_SEM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/posix/posix_sem_record.h"

/* Each is a mapping of the keeper, of which a process may have 65,530. */
#define IPCFS_POSIX_SEM_SLOTS 32768
#define IPCFS_POSIX_SEM_NO_SLOT UINT32_MAX

/* In the shared memory. */
struct ipcfs_posix_sem_slot {
	ipcfs_posix_sem_record record;
	/* the semaphore, once the keeper watches it; serial 0: none */
	_Atomic uint64_t serial;
	_Atomic uint32_t key;
};

/* Maps the shared memory, if it is not yet, for this process and those that it forks. -ENOMEM. */
int ipcfs_posix_sem_slots_map(void);

/*
 * Maps it instead for programs that this process executes, too: the memory of *file, or, if that is
 * -1, other memory, of which *file is a descriptor then. Without one, -1, programs do not get it.
 * -ENOMEM.
 */
int ipcfs_posix_sem_slots_share(int *file);

/* Adds the layout of the shared memory to a hash: see layout.h. */
uint64_t ipcfs_posix_sem_slots_layout(uint64_t hash);

/* Returns the slot of this index. */
struct ipcfs_posix_sem_slot *ipcfs_posix_sem_slot_at(uint32_t index);

/* Returns the index of a slot. */
uint32_t ipcfs_posix_sem_slot_index(const ipcfs_posix_sem_record *record);

/* Takes a slot without a semaphore. IPCFS_POSIX_SEM_NO_SLOT: there are too many. */
uint32_t ipcfs_posix_sem_slot_take(void);

/* Clears a slot, and gives it back with `reusable`. */
void ipcfs_posix_sem_slot_drop(uint32_t index, bool reusable);

/*
 * Where the semaphore of a slot is mapped in this process. NULL: there is none, or only a worker
 * before has used it.
 */
extern volatile _Atomic uint64_t *ipcfs_posix_sem_words[IPCFS_POSIX_SEM_SLOTS];

/*
 * Returns the slot in which a worker before has left this semaphore; the caller maps it.
 * IPCFS_POSIX_SEM_NO_SLOT: none has.
 */
uint32_t ipcfs_posix_sem_slot_find(const struct ipcfs_posix_sem_id *id);

/*
 * Returns the first slot from `index` on that a worker before has left, and that is not mapped.
 * IPCFS_POSIX_SEM_NO_SLOT: there is none.
 */
uint32_t ipcfs_posix_sem_slot_left(uint32_t index);

/* Returns the number of the next order to the keeper. */
uint32_t ipcfs_posix_sem_slots_serial(void);

#endif
