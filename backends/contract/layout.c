/* SPDX-License-Identifier: MIT */
#include "backends/contract/layout.h"

#include <string.h>

#define START UINT64_C(0xcbf29ce484222325)
#define PRIME UINT64_C(0x100000001b3) /* of FNV-1a */

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = ((hash ? hash : START) ^ at[i]) * PRIME;
	return hash;
}

uint64_t ipcfs_layout_numbers(uint64_t hash, const uint64_t *numbers, size_t count)
{
	return add_bytes(hash, numbers, count * sizeof(*numbers));
}

uint64_t ipcfs_layout_name(uint64_t hash, const char *name)
{
	return add_bytes(hash, name, strlen(name) + 1);
}
