/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as /proc/PID/maps: the same mappings come in one piece and in two. And any path: it adds
 * no mapping, and does not hide the next one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control/users_maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

struct sum {
	size_t count;
	uint64_t mixed;
	uint64_t last;
};

static int add(void *arg, const struct ipcfs_mapping *mapping)
{
	struct sum *sum = arg;

	sum->count++;
	sum->mixed = sum->mixed * 31 + mapping->device * 7 + mapping->inode * 3 + mapping->attached;
	sum->last = mapping->inode;
	return 0;
}

static void feed(struct ipcfs_maps *maps, const void *bytes, size_t size, struct sum *sum)
{
	require(!ipcfs_maps_feed(maps, bytes, size, add, sum));
	require(maps->size < IPCFS_MAPS_LINE);
}

static void any_bytes(const uint8_t *data, size_t size)
{
	struct ipcfs_maps one = { .size = 0 }, two = { .size = 0 };
	struct sum first = { 0 }, second = { 0 };
	size_t half = size ? data[0] % size : 0;

	feed(&one, data, size, &first);
	feed(&two, data, half, &second);
	feed(&two, data + half, size - half, &second);
	require(first.count == second.count && first.mixed == second.mixed);
}

/* The kernel escapes newlines. */
static void any_path(const uint8_t *data, size_t size)
{
	static const char before[] = "1000-2000 rw-s 00000000 00:01 5 /";
	static const char after[] = "\n2000-3000 rw-s 00000000 00:01 6 /SYSV00000001\n";
	struct ipcfs_maps maps = { .size = 0 };
	struct sum sum = { 0 };

	feed(&maps, before, strlen(before), &sum);
	for (size_t i = 0; i < size; i++)
		feed(&maps, data[i] == '\n' ? "?" : (const char *)data + i, 1, &sum);
	feed(&maps, after, strlen(after), &sum);
	require(sum.count == 2 && sum.last == 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	any_bytes(data, size);
	any_path(data, size);
	return 0;
}
