/* SPDX-License-Identifier: MIT */
/*
 * Which processes a caller may look into. The kernel decides, for readlink(2) in their directories
 * of /proc by the caller (ptrace(2), PTRACE_MODE_READ_FSCREDS).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/caller/impersonate_child.h"
#include "backends/contract/caller.h"

struct batch {
	size_t count;
	struct ipcfs_look looks[IPCFS_LOOKS_MAX];
};

/* Tries all as the caller. Makes system calls only: it may run in a child. */
static int try_all(void *arg)
{
	struct batch *batch = arg;

	for (size_t i = 0; i < batch->count; i++) {
		struct ipcfs_look *look = &batch->looks[i];
		ssize_t size = readlinkat(look->directory, "ns/ipc", look->space,
					  sizeof(look->space) - 1);

		look->may = size >= 0;
		look->error = size < 0 ? errno : 0;
		look->space[size < 0 ? 0 : size] = '\0';
	}
	return 0;
}

int ipcfs_caller_look(const struct ipcfs_caller *caller, struct ipcfs_look *looks, size_t count)
{
	const struct ipcfs_child_terms terms = { .caller = caller, .keeps_capabilities = true };
	struct batch batch = { .count = count };
	int error;

	memcpy(batch.looks, looks, count * sizeof(*looks));
	if (ipcfs_impersonate_child_joins(caller))
		error = ipcfs_impersonate_child(&terms, try_all, &batch, sizeof(batch));
	else
		error = ipcfs_act_as(caller, try_all, &batch, sizeof(batch));
	if (!error)
		memcpy(looks, batch.looks, count * sizeof(*looks));
	return error;
}
