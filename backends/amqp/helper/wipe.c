/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/wipe.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clears each place with these bytes, but for the bytes themselves. */
static void wipe_range(char *start, size_t size, const char *bytes, size_t length)
{
	char *found;

	while ((found = memmem(start, size, bytes, length))) {
		size -= (size_t)(found + length - start);
		start = found + length;
		if (found != bytes)
			explicit_bzero(found, length);
	}
}

/* Calls wipe_range for all memory that can be read and written. */
static bool wipe_all(const char *bytes, size_t length)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t start, end;
	char line[512], rights[5];

	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, rights) == 3 &&
		    rights[0] == 'r' && rights[1] == 'w')
			wipe_range((char *)start, end - start, bytes, length);
	}
	(void)fclose(maps);
	return true;
}

bool ipcfs_amqp_wipe(const char *user, const char *password)
{
	size_t user_size = strlen(user) + 1;
	size_t size = 1 + user_size + strlen(password);
	char *bytes;
	bool wiped;

	/* A sanitizer's own memory, which is in the list, can't be read. */
#ifdef IPCFS_SANITIZED
	return true;
#endif
	if (!*password)
		return true;
	bytes = calloc(1, size + 1);
	if (!bytes)
		return false;
	memcpy(bytes + 1, user, user_size);
	memcpy(bytes + 1 + user_size, password, strlen(password) + 1);
	wiped = wipe_all(bytes, size);
	explicit_bzero(bytes, size + 1);
	free(bytes);
	return wiped;
}
