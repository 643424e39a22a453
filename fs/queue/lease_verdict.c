/* SPDX-License-Identifier: MIT */
#include "fs/queue/lease_verdict.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DEAD "dead "

static bool is_word(const char *bytes, size_t size, const char *word)
{
	return size == strlen(word) && !memcmp(bytes, word, size);
}

/* Parses the QUEUE of `dead QUEUE`. Errors as ipcfs_lease_verdict_parse. */
static int parse_queue(const char *path, size_t size, char queue[IPCFS_VERDICT_QUEUE_SIZE])
{
	if (size == 0 || memchr(path, '\0', size) || memchr(path, '\n', size))
		return -EINVAL;
	if (size >= IPCFS_VERDICT_QUEUE_SIZE)
		return -ENAMETOOLONG;
	memcpy(queue, path, size);
	queue[size] = '\0';
	return 0;
}

int ipcfs_lease_verdict_parse(const char *bytes, size_t size, struct ipcfs_lease_verdict *verdict)
{
	const size_t dead = strlen(DEAD);

	if (size && bytes[size - 1] == '\n')
		size--;
	verdict->queue[0] = '\0';
	if (is_word(bytes, size, "done")) {
		verdict->verdict = IPCFS_VERDICT_DONE;
		return 0;
	}
	if (is_word(bytes, size, "again")) {
		verdict->verdict = IPCFS_VERDICT_AGAIN;
		return 0;
	}
	verdict->verdict = IPCFS_VERDICT_DEAD;
	if (is_word(bytes, size, "dead"))
		return 0;
	if (size < dead || memcmp(bytes, DEAD, dead) != 0)
		return -EINVAL;
	return parse_queue(bytes + dead, size - dead, verdict->queue);
}
