/* SPDX-License-Identifier: MIT */
/*
 * The files of /dev/shm. Any process may put anything there at any time: a link, a FIFO, a device,
 * or another file in place of one that was just checked. So every file is reached from the open
 * directory without following links. It counts if it is a regular file of the same file system, and
 * it is opened only after this check, by the descriptor that was checked.
 */
#ifndef IPCFS_SHM_DIR_H
#define IPCFS_SHM_DIR_H

#include <errno.h>
#include <sys/stat.h>

#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_file.h"

/* The names of semaphores begin with this. */
#define IPCFS_SHM_SEMAPHORE "sem."

/*
 * Reads the state of the file of this name.
 * -ENOENT: there is none, or it is no regular file of this file system, or can't be looked at.
 */
int ipcfs_shm_dir_stat(const struct ipcfs_space *space, const char *name, struct statx *st);

/* Reads the state of an open file. */
int ipcfs_shm_dir_fstat(int fd, struct statx *st);

/*
 * Opens the file of this name with O_PATH, and reads its state into *st. Returns the descriptor, to
 * be closed.
 * -ENOENT: there is none, or it is no regular file of this file system, or can't be looked at.
 */
int ipcfs_shm_dir_find(const struct ipcfs_space *space, const char *name, struct statx *st);

/*
 * Makes a file without a name, with this mode whatever the umask is. Returns a descriptor for
 * reading and writing, to be closed. With the rights of this thread.
 * -ENOENT: there is no /dev/shm.
 * Errors of open(2).
 */
int ipcfs_shm_dir_make(const struct ipcfs_space *space, mode_t mode);

/*
 * Gives a file from ipcfs_shm_dir_make its name. With the rights of this thread.
 * Errors of link(2).
 */
int ipcfs_shm_dir_name(const struct ipcfs_space *space, int fd, const char *name);

/* Sets *ref for a file: its inode number, and a hash of its name and its time of birth. */
void ipcfs_shm_dir_ref(const char *name, const struct statx *st, struct ipcfs_ref *ref);

/* Returns whether this is the ref's file. */
bool ipcfs_shm_dir_same(const struct ipcfs_ref *ref, const struct statx *st);

/* Converts owner and mode of a file. */
void ipcfs_shm_dir_perm(const struct statx *st, struct ipcfs_perm *perm);

/* Sets owner, mode and times of *info. */
void ipcfs_shm_dir_fill(const struct statx *st, struct ipcfs_info *info);

/* Sets *trace for a file: processes may have it open, and mapped. */
void ipcfs_shm_dir_trace(const struct statx *st, struct ipcfs_trace *trace);

/*
 * Appends the status lines with the file's times, and that of `stale`, which is unknown.
 * -ENOMEM.
 */
int ipcfs_shm_dir_status_times(const struct ipcfs_info *info, struct ipcfs_text *out);

/*
 * Defines change, acl and set_acl of a class whose objects are files of /dev/shm. open_ref opens
 * the file of a ref, as ipcfs_posix_sem_find does.
 */
#define IPCFS_SHM_DIR_FUNCTIONS(open_ref)                                                          \
	static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,            \
			  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)    \
	{                                                                                          \
		struct statx st;                                                                   \
		IPCFS_DESCRIPTOR_AUTO int fd = open_ref(space, ref, &st);                          \
                                                                                                   \
		if (fd < 0)                                                                        \
			return fd == -EIDRM ? -ENOENT : fd;                                        \
		return ipcfs_posix_file_change(fd, st.stx_mode, wanted, caller);                   \
	}                                                                                          \
	static int acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref,               \
		       struct ipcfs_acl *out)                                                      \
	{                                                                                          \
		struct statx st;                                                                   \
		IPCFS_DESCRIPTOR_AUTO int fd = open_ref(space, ref, &st);                          \
                                                                                                   \
		if (fd < 0)                                                                        \
			return fd == -EIDRM ? -ENOENT : fd;                                        \
		return ipcfs_posix_file_acl(fd, out);                                              \
	}                                                                                          \
	static int set_acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref,           \
			   const struct ipcfs_acl *wanted, const struct ipcfs_caller *caller)      \
	{                                                                                          \
		struct statx st;                                                                   \
		IPCFS_DESCRIPTOR_AUTO int fd = open_ref(space, ref, &st);                          \
                                                                                                   \
		if (fd < 0)                                                                        \
			return fd == -EIDRM ? -ENOENT : fd;                                        \
		return ipcfs_posix_file_set_acl(fd, wanted, caller);                               \
	}

#endif
