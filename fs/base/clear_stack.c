/* SPDX-License-Identifier: MIT */
#include "fs/base/clear_stack.h"

#include <string.h>

#define DEPTH (12 * 1024)
#define COPY_MAX 1024 /* bytes; a longer copy uses the same registers */

/* Copies zeros in each way in which a message may have been copied: with the same registers. */
static void clear_registers(char *zeros)
{
	void *(*volatile copy)(void *, const void *, size_t) = memcpy;

	for (size_t size = 16; size <= COPY_MAX; size *= 2)
		copy(zeros, zeros + COPY_MAX, size);
}

__attribute__((noinline)) void ipcfs_clear_stack(void)
{
	char below[DEPTH];

	explicit_bzero(below, sizeof(below));
	clear_registers(below);
}
