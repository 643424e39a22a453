/* SPDX-License-Identifier: MIT */
/* How many holds of a POSIX semaphore are out, as the daemon notes it for the keeper. */
#ifndef IPCFS_POSIX_SEM_RECORD_H
#define IPCFS_POSIX_SEM_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * The holds of one semaphore, in one word that changes at once. While a hold is taken or given
 * back, the record says so, with the semaphore's value before: this tells the keeper whether it was
 * done.
 */
typedef _Atomic uint64_t ipcfs_posix_sem_record;

enum ipcfs_posix_sem_action {
	IPCFS_POSIX_SEM_IDLE,
	IPCFS_POSIX_SEM_TAKING,
	IPCFS_POSIX_SEM_GIVING,
};

/* Returns the content of a record: the number of holds, the action, and the value before it. */
static inline uint64_t ipcfs_posix_sem_entry(uint32_t count, enum ipcfs_posix_sem_action action,
					     uint32_t before)
{
	return (uint64_t)before << 32 | (uint64_t)action << 30 | count;
}

/* Returns the number of holds in the content of a record. */
static inline uint32_t ipcfs_posix_sem_count(uint64_t entry)
{
	return (uint32_t)entry & ((1U << 30) - 1);
}

/*
 * Returns how many holds are out, by a record's content and the semaphore's value. The content may
 * say that a hold is being taken or given back: the value before shows whether this was done, if no
 * other process has changed the value in between.
 */
static inline uint32_t ipcfs_posix_sem_holds(uint64_t entry, uint32_t value)
{
	uint32_t count = ipcfs_posix_sem_count(entry), before = (uint32_t)(entry >> 32);

	switch ((enum ipcfs_posix_sem_action)(entry >> 30 & 3)) {
	case IPCFS_POSIX_SEM_TAKING:
		return value == before - 1 ? count + 1 : count;
	case IPCFS_POSIX_SEM_GIVING:
		return value == before + 1 ? count - 1 : count;
	default:
		return count;
	}
}

/* Identifies the file of a semaphore, as struct ipcfs_ref does. The serial is not 0. */
struct ipcfs_posix_sem_id {
	uint64_t serial;
	uint32_t key;
};

#endif
