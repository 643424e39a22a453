/* SPDX-License-Identifier: MIT */
/* Descriptors that close themselves at the end of their scope, and small files read whole. */
#ifndef IPCFS_DESCRIPTOR_H
#define IPCFS_DESCRIPTOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_DESCRIPTOR_AUTO __attribute__((cleanup(ipcfs_descriptor_close)))

/* Close *fd where it is one, and make it -1. errno is kept. */
void ipcfs_descriptor_close(int *fd);

/*
 * Read from fd until its end or until `room` - 1 bytes are there; a NUL ends them. Returns how many.
 * Negative errno of read(2).
 */
ssize_t ipcfs_descriptor_read(int fd, char *bytes, size_t room);

/* The same for the file of this path; also the errors of open(2). */
ssize_t ipcfs_descriptor_read_path(const char *path, char *bytes, size_t room);

/* The number a file in /proc/sys starts with. -EINVAL: none; the errors of open(2) and read(2). */
int ipcfs_descriptor_number(const char *path, uint64_t *value);

#endif
