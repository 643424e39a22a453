/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process that gives back the holds of POSIX semaphores when the daemon has ended,
 * in whatever way. It is forked before the first request (ipcfs_holds_start), and waits for the
 * end of the daemon. It shares a table of records with the daemon, and has one end of a socket
 * and the mapped semaphores, nothing else: no capability, and few system calls. A keeper that was
 * killed is replaced at once (ipcfs_holds_check), and at the latest before the next hold; the new
 * one has the semaphores from its fork. One that was stopped is continued by the kernel when the
 * daemon ends.
 */
#ifndef IPCFS_POSIX_SEM_KEEPER_H
#define IPCFS_POSIX_SEM_KEEPER_H

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
 * Makes the keeper watch the semaphore behind this descriptor, and waits until it does. `word` is
 * the start of the page where the semaphore is mapped, and has to stay mapped until
 * ipcfs_posix_sem_unkeep. *record is 0, and is written by posix_sem_ops.c.
 * -ENOSPC: there are too many semaphores with holds.
 * -ENOLCK: there is no keeper, or it does not answer.
 * -ENOMEM.
 */
int ipcfs_posix_sem_keep(int fd, volatile _Atomic uint64_t *word, ipcfs_posix_sem_record **record);

/*
 * Makes sure, before another hold of a watched semaphore, that there still is a keeper.
 * -ENOLCK: there is none.
 * -ENOMEM.
 */
int ipcfs_posix_sem_kept(void);

/* Makes the keeper stop watching the semaphore. The record must not be used any more. */
void ipcfs_posix_sem_unkeep(ipcfs_posix_sem_record *record);

#endif
