/* SPDX-License-Identifier: MIT */
/* Numbers as users write them: in names, specifications and control files. Pure. */
#ifndef IPCFS_NUMBER_H
#define IPCFS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A whole decimal number, optionally with '-', nothing around it, leading zeros refused (so that
 * every number has one spelling). -EINVAL: malformed; -ERANGE: outside min..max.
 */
int ipcfs_number_parse(const char *text, size_t size, long min, long max, long *value);

/* As above without sign, with an optional suffix K, M, G or T (powers of 1024); leading zeros are fine. */
int ipcfs_size_parse(const char *text, size_t size, uint64_t max, uint64_t *value);

/* An octal mode of read and write bits, such as 0660. -EINVAL: malformed or other bits. */
int ipcfs_mode_parse(const char *text, size_t size, mode_t *mode);

#endif
