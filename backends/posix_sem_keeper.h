/* SPDX-License-Identifier: MIT */
/*
 * Who gives POSIX holds back when this process is gone, however it went: the keeper, a process of its
 * own that is forked with the first hold and waits for our end. It and we share a table that says
 * what is out. It holds nothing of ours but that table, one end of a socket and the semaphores.
 */
#ifndef IPCFS_POSIX_SEM_KEEPER_H
#define IPCFS_POSIX_SEM_KEEPER_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * What is out of one semaphore: one word, so that it is never half changed. While one is being taken or
 * given it says so, and the value before: the keeper can then see whether it was done.
 */
typedef _Atomic uint64_t ipcfs_posix_sem_record;

enum ipcfs_posix_sem_action {
	IPCFS_POSIX_SEM_IDLE,
	IPCFS_POSIX_SEM_TAKING,
	IPCFS_POSIX_SEM_GIVING,
};

static inline uint64_t ipcfs_posix_sem_entry(uint32_t count, enum ipcfs_posix_sem_action action,
					     uint32_t before)
{
	return (uint64_t)before << 32 | (uint64_t)action << 30 | count;
}

static inline uint32_t ipcfs_posix_sem_count(uint64_t entry)
{
	return (uint32_t)entry & ((1U << 30) - 1);
}

/*
 * Have the keeper watch over the semaphore behind this descriptor, which stays ours and open until
 * ipcfs_posix_sem_unkeep; starts it where there is none. *record is 0 and ours to write. -ENOSPC: too
 * many; -EAGAIN: the keeper does not answer; -ENOMEM, and what fork and socketpair say.
 */
int ipcfs_posix_sem_keep(int fd, ipcfs_posix_sem_record **record);
void ipcfs_posix_sem_unkeep(ipcfs_posix_sem_record *record);

#endif
