/* SPDX-License-Identifier: MIT */
/* Anything written to lease: a verdict says no more than the bytes, and its path is a string. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/queue/lease_verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Returns whether the bytes are this text, perhaps with a newline. */
static bool is_text(const char *bytes, size_t size, const char *text)
{
	size_t length = strlen(text);

	return (size == length || (size == length + 1 && bytes[length] == '\n')) &&
	       !memcmp(bytes, text, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "done", "again", "dead" };
	char text[IPCFS_VERDICT_QUEUE_SIZE + 8];
	struct ipcfs_lease_verdict verdict;
	const char *bytes = (const char *)data;
	int err = ipcfs_lease_verdict_parse(bytes, size, &verdict);

	require(err == 0 || err == -EINVAL || err == -ENAMETOOLONG);
	if (err)
		return 0;
	require(verdict.verdict <= IPCFS_VERDICT_DEAD);
	require(strnlen(verdict.queue, sizeof(verdict.queue)) < sizeof(verdict.queue));
	require(!*verdict.queue || verdict.verdict == IPCFS_VERDICT_DEAD);
	snprintf(text, sizeof(text), "%s%s%s", words[verdict.verdict], *verdict.queue ? " " : "",
		 verdict.queue);
	require(is_text(bytes, size, text));
	return 0;
}
