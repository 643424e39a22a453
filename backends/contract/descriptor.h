/* SPDX-License-Identifier: MIT */
/* Descriptors that close themselves at the end of their scope, and small files read as a whole. */
#ifndef IPCFS_DESCRIPTOR_H
#define IPCFS_DESCRIPTOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An `int` declared with this is closed at the end of its scope, unless it is negative. */
#define IPCFS_DESCRIPTOR_AUTO __attribute__((cleanup(ipcfs_descriptor_close)))

/* Closes *fd unless it is negative, and sets it to -1. Keeps errno. */
void ipcfs_descriptor_close(int *fd);

/*
 * Closes *fd as ipcfs_descriptor_close does, in a thread of its own: with the last descriptor of a
 * file that has no name any more the kernel frees its memory, 0.14 s for a GiB. Without a thread
 * the caller waits for that.
 */
void ipcfs_descriptor_close_apart(int *fd);

/*
 * Reads from fd until its end, but at most `capacity` - 1 bytes, and adds a NUL. Returns the number
 * of bytes without the NUL.
 * Errors of read(2) but EINTR.
 */
ssize_t ipcfs_descriptor_read(int fd, char *bytes, size_t capacity);

/* Reads the file of this path in the same way. Also errors of open(2). */
ssize_t ipcfs_descriptor_read_path(const char *path, char *bytes, size_t capacity);

/*
 * Read and write at an offset, as pread(2) and pwrite(2), and go on after a signal.
 * Errors of pread(2) and pwrite(2) but EINTR.
 */
ssize_t ipcfs_descriptor_read_at(int fd, void *bytes, size_t size, off_t offset);
ssize_t ipcfs_descriptor_write_at(int fd, const void *bytes, size_t size, off_t offset);

/*
 * Makes a file in memory, of this size for ever. Returns a descriptor of it. -1: there is no memory,
 * or the process may have no file of this size.
 */
int ipcfs_descriptor_memory(const char *name, size_t size);

struct ipcfs_growth;

/*
 * Tells of the memory of a file of a tmpfs, of which this range is about to be written or reserved,
 * or was. Errors of statx(2).
 */
int ipcfs_descriptor_growth(int fd, off_t offset, uint64_t size, struct ipcfs_growth *growth);

/*
 * Reads the decimal number that the file of this path begins with.
 * -EINVAL: it begins with no number, or with one that is too large.
 * Errors of open(2) and read(2).
 */
int ipcfs_descriptor_number(const char *path, uint64_t *value);

#endif
