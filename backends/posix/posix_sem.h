/* SPDX-License-Identifier: MIT */
/*
 * Shared by posix_sem.c (semaphores as objects) and posix_sem_ops.c (operations).
 *
 * A semaphore is a file sem.NAME in /dev/shm with the size of the C library's sem_t. A process that
 * may open it maps it into its memory. Any process may have made such a file, and may change it at
 * any time.
 */
#ifndef IPCFS_POSIX_SEM_H
#define IPCFS_POSIX_SEM_H

#include <semaphore.h>
#include <sys/stat.h>

#include "backends/contract/contract.h"

/* Returns whether this file is a semaphore, by its type and size. */
bool ipcfs_posix_sem_is(const struct statx *st);

/*
 * Opens the ref's semaphore with O_PATH, and reads its state into *st. Returns the descriptor, to
 * be closed.
 * -ENOENT: there is no semaphore of this name.
 * -EIDRM: another semaphore has the name.
 */
int ipcfs_posix_sem_find(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct statx *st);

/*
 * Opens the semaphore behind an O_PATH descriptor. Returns a descriptor, to be closed. With
 * O_NOATIME where the daemon may, so that reading does not change the file's times.
 * Errors of open(2).
 */
int ipcfs_posix_sem_open(int path, int flags);

/*
 * Reads the first word of the semaphore's file.
 * -EIO: the file is too short.
 */
int ipcfs_posix_sem_word(int fd, uint64_t *word);

/* The first word of glibc's sem_t with 64 bits: the value, and above it the number of waiters. */
_Static_assert(sizeof(sem_t) == 32, "the layout of semaphores is that of glibc on 64-bit machines");
#define IPCFS_POSIX_SEM_VALUE(word) ((uint32_t)(word))
#define IPCFS_POSIX_SEM_WAITERS(word) ((uint32_t)((word) >> 32))
#define IPCFS_POSIX_SEM_WAITER ((uint64_t)1 << 32)

extern const struct ipcfs_semaphore_ops ipcfs_posix_sem_ops;

#endif
