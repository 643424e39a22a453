/* SPDX-License-Identifier: MIT */
/*
 * What the parts of POSIX named semaphores share: objects (posix_sem.c), making, what is done to them.
 *
 * A semaphore is a file sem.NAME in /dev/shm, of the size of the C library's sem_t, that everybody
 * who may maps into his memory. Anybody may have put anything there, and may go on changing it.
 */
#ifndef IPCFS_POSIX_SEM_H
#define IPCFS_POSIX_SEM_H

#include <semaphore.h>
#include <sys/stat.h>

#include "backend.h"

/* Can a semaphore have this name: 0, -EINVAL, -ENAMETOOLONG. */
int ipcfs_posix_sem_name_check(const char *name);

/* The name of its file. -ENOENT: no semaphore can have this name. */
int ipcfs_posix_sem_file(const char *name, char file[NAME_MAX + 1]);

/* Is this file a semaphore, by its type and size? */
bool ipcfs_posix_sem_is(const struct statx *st);

/*
 * The semaphore of this ref as an O_PATH descriptor, and a look at it. -ENOENT; -EIDRM: another one has
 * its name.
 */
int ipcfs_posix_sem_find(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct statx *st);

/* Open what that found. Looking at it is not to change its times, where we may see to that. */
int ipcfs_posix_sem_open(int path, int flags);

/* The first word of its file. -EIO: it has no such bytes. */
int ipcfs_posix_sem_word(int fd, uint64_t *word);

/* Where the value stands in the file's first word, and who waits above it: glibc, 64 bits. */
_Static_assert(sizeof(sem_t) == 32, "the layout of semaphores is that of glibc on 64-bit machines");
#define IPCFS_POSIX_SEM_VALUE(word) ((uint32_t)(word))
#define IPCFS_POSIX_SEM_WAITERS(word) ((uint32_t)((word) >> 32))
#define IPCFS_POSIX_SEM_WAITER ((uint64_t)1 << 32)

extern const struct ipcfs_semaphore_ops ipcfs_posix_sem_ops;

#endif
