/* SPDX-License-Identifier: MIT */
/* Numbers as users write them in names, specifications and control files. Pure functions. */
#ifndef IPCFS_NUMBER_H
#define IPCFS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Parses a decimal number with an optional '-'. The text holds nothing else. Leading zeros and "-0"
 * are refused, so that each number has one spelling.
 *   -EINVAL: malformed.
 *   -ERANGE: outside min..max.
 */
int ipcfs_number_parse(const char *text, size_t size, long min, long max, long *value);

/*
 * Parses a decimal number without a sign, with an optional suffix K, M, G or T (powers of 1024).
 * Leading zeros are allowed.
 *   -EINVAL: malformed.
 *   -ERANGE: above max.
 */
int ipcfs_size_parse(const char *text, size_t size, uint64_t max, uint64_t *value);

/*
 * Parses a time: decimal seconds, as "5" or "0.25", up to `max` seconds. Leading zeros are allowed,
 * and zeros at the end. Returns microseconds, rounded up.
 *   -EINVAL: malformed.
 *   -ERANGE: above max.
 */
int ipcfs_seconds_parse(const char *text, size_t size, uint64_t max, uint64_t *us);

#define IPCFS_SECONDS_SIZE 32 /* bytes of a time as text, with its NUL */

/* Writes a time of `us` microseconds as ipcfs_seconds_parse takes it, in its shortest spelling. */
void ipcfs_seconds_text(uint64_t us, char text[IPCFS_SECONDS_SIZE]);

/* Parses an octal mode of read and write bits, such as 0660. -EINVAL: malformed, or other bits. */
int ipcfs_mode_parse(const char *text, size_t size, mode_t *mode);

#endif
