/* SPDX-License-Identifier: MIT */
/*
 * Parts of files as memory, for the kernel to read from. Making a mapping costs more than copying,
 * so a few are kept. Thread-safe.
 */
#ifndef IPCFS_MAPPING_H
#define IPCFS_MAPPING_H

#include <stddef.h>
#include <sys/types.h>

#define IPCFS_MAPPING_BYTES ((size_t)16 << 20) /* of a file, that one mapping has */
#define IPCFS_MAPPINGS 16

/*
 * Returns the `size` bytes at `offset` of the file, at most 1 MiB, and in *which what
 * ipcfs_mapping_put takes. Only system calls may touch them: the file can be truncated, and EFAULT
 * is harmless. NULL: read(2) them, as they are not all in memory (touching them might allocate
 * them), are in two mappings, or all mappings are in use.
 */
const void *ipcfs_mapping_get(int fd, off_t offset, size_t size, unsigned *which);
void ipcfs_mapping_put(unsigned which);

/* Unmaps the file. Call before the descriptor is closed, when no bytes of it are in use. */
void ipcfs_mapping_drop(int fd);

#endif
