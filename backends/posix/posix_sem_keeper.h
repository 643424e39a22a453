/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process that gives back the holds of POSIX semaphores when the daemon has ended,
 * in whatever way. It is forked before the first request (ipcfs_holds_start), and waits for the
 * end of the daemon. It shares a table of records with the daemon, and has one end of a socket
 * and the mapped semaphores, nothing else: no capability, and few system calls. A keeper that was
 * killed is replaced at once (ipcfs_holds_check), and at the latest before the next hold; the new
 * one has the semaphores from its fork. One that was stopped is continued by the kernel when the
 * daemon ends.
 *
 * With -o supervise (ipcfs_holds_share) the supervisor has the socket, too, and the next worker
 * goes on with the keeper and the table. The keeper gives back when supervisor and worker have
 * ended.
 */
#ifndef IPCFS_POSIX_SEM_KEEPER_H
#define IPCFS_POSIX_SEM_KEEPER_H

#include "backends/posix/posix_sem_record.h"

/*
 * Makes the keeper watch the semaphore behind this descriptor, and waits until it does. `word` is
 * the start of the page where the semaphore is mapped, and has to stay mapped until
 * ipcfs_posix_sem_unkeep. *record is 0, and is written by posix_sem_ops.c. A *record that is not
 * NULL comes from ipcfs_posix_sem_adopt: the keeper, which may be another one now, watches it
 * again.
 * -ENOSPC: there are too many semaphores with holds.
 * -ENOLCK: there is no keeper, or it does not answer.
 * -ENOMEM.
 */
int ipcfs_posix_sem_keep(int fd, const struct ipcfs_posix_sem_id *id,
			 volatile _Atomic uint64_t *word, ipcfs_posix_sem_record **record);

/*
 * Returns the record of the holds that a worker before has left of this semaphore, which is mapped
 * at `word` now, as for ipcfs_posix_sem_keep. NULL: there is none.
 */
ipcfs_posix_sem_record *ipcfs_posix_sem_adopt(const struct ipcfs_posix_sem_id *id,
					      volatile _Atomic uint64_t *word);

/*
 * Makes sure, before another hold of a watched semaphore, that there still is a keeper.
 * -ENOLCK: there is none.
 * -ENOMEM.
 */
int ipcfs_posix_sem_kept(void);

/* Makes the keeper stop watching the semaphore. The record must not be used any more. */
void ipcfs_posix_sem_unkeep(ipcfs_posix_sem_record *record);

#endif
