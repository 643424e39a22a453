/* SPDX-License-Identifier: MIT */
/*
 * The ids of another user namespace, as /proc shows them: the first half of the bytes is uid_map.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/caller.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static char *text_of(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* Each range is found at both its ends, and no id is -1. */
static void check(const struct ipcfs_id_map *map)
{
	uid_t inside;

	require(!ipcfs_id_map_has_uid(map, (uid_t)-1) && !ipcfs_id_map_has_gid(map, (gid_t)-1));
	for (size_t i = 0; i < map->uids + map->gids; i++) {
		const struct ipcfs_id_range *range = &map->ranges[i];
		uint32_t last = range->outside + (range->count - 1);

		require(range->count && last >= range->outside);
		if (i < map->uids) {
			require(!ipcfs_id_map_uid(map, range->outside, &inside) &&
				inside != (uid_t)-1);
			require(ipcfs_id_map_has_uid(map, last));
		} else {
			require(!ipcfs_id_map_gid(map, range->outside, &inside) &&
				inside != (gid_t)-1);
			require(ipcfs_id_map_has_gid(map, last));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *uids = text_of(data, size / 2), *gids = text_of(data + size / 2, size - size / 2);
	struct ipcfs_id_map *map;
	int error = ipcfs_id_map_parse(uids, gids, &map);

	require(error == 0 || error == -EINVAL);
	if (!error) {
		check(map);
		free(map);
	}
	free(uids);
	free(gids);
	return 0;
}
