/* SPDX-License-Identifier: MIT */
/*
 * The files of /dev/shm. Anybody may put anything there at any time: a link, a FIFO, a device,
 * another file in the place of one that was just looked at. So every file is reached from a held
 * descriptor of the directory, without following links, counts only if it is a regular file of that
 * very file system, and is opened only after that was seen, by the descriptor it was seen with.
 */
#ifndef IPCFS_SHM_DIR_H
#define IPCFS_SHM_DIR_H

#include <sys/stat.h>

#include "backend.h"

/* Names that start so are semaphores. */
#define IPCFS_SHM_SEMAPHORE "sem."

/* A descriptor of /dev/shm, and its device; -1 where it is no tmpfs or is not there. */
int ipcfs_shm_dir_open(dev_t *device);

/* Is this directory, open with O_PATH, one to use, and its device. -ENOENT: it is no tmpfs. */
int ipcfs_shm_dir_check(int fd, dev_t *device);

/* Look at the file of this name. -ENOENT, also for what is no regular file of this directory. */
int ipcfs_shm_dir_look(const struct ipcfs_space *space, const char *name, struct statx *st);

/* Look at an open file. */
int ipcfs_shm_dir_look_at(int fd, struct statx *st);

/* The file of this name as an O_PATH descriptor, and a look at it. Errors as look. */
int ipcfs_shm_dir_find(const struct ipcfs_space *space, const char *name, struct statx *st);

/* Call `each` for every file; ends early with its result when not 0. */
int ipcfs_shm_dir_list(const struct ipcfs_space *space,
		       int (*each)(void *arg, const char *name, const struct statx *st), void *arg);

/*
 * A new file without a name, of this mode whatever the umask is, open for writing; then its name.
 * Both with the rights of this thread. Errors of open(2) and link(2), -ENOENT where there is no /dev/shm.
 */
int ipcfs_shm_dir_make(const struct ipcfs_space *space, mode_t mode);
int ipcfs_shm_dir_name(const struct ipcfs_space *space, int fd, const char *name);

/* What names a file for ever: its inode number, and of when it was born and its name a hash. */
void ipcfs_shm_dir_ref(const char *name, const struct statx *st, struct ipcfs_ref *ref);
bool ipcfs_shm_dir_same(const struct ipcfs_ref *ref, const struct statx *st);

/* Owner and mode of a file; with its times. */
void ipcfs_shm_dir_perm(const struct statx *st, struct ipcfs_perm *perm);
void ipcfs_shm_dir_fill(const struct statx *st, struct ipcfs_info *info);

#endif
