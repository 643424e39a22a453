/* SPDX-License-Identifier: MIT */
#include "fs/base/clear_stack.h"

#include <string.h>

#define DEPTH (12 * 1024)

__attribute__((noinline)) void ipcfs_clear_stack(void)
{
	char below[DEPTH];

	explicit_bzero(below, sizeof(below));
}
