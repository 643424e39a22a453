/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/caller.h"
#include "backends/contract/descriptor.h"

#define TEXT_SIZE 16384 /* the kernel keeps at most 340 lines of 33 bytes */
#define NO_ID UINT32_MAX

struct texts {
	char uids[TEXT_SIZE], gids[TEXT_SIZE];
};

static void free_texts(struct texts **texts)
{
	free(*texts);
}

/* Parses a decimal number, with blanks before it. */
static bool parse_number(const char **at, uint32_t *number)
{
	uint64_t value = 0;
	const char *digits;

	*at += strspn(*at, " ");
	for (digits = *at; **at >= '0' && **at <= '9' && value <= UINT32_MAX; (*at)++)
		value = 10 * value + (uint64_t)(**at - '0');
	*number = (uint32_t)value;
	return *at > digits && value <= UINT32_MAX;
}

static int parse_range(const char **at, struct ipcfs_id_range *range)
{
	if (!parse_number(at, &range->inside) || !parse_number(at, &range->outside) ||
	    !parse_number(at, &range->count) || *(*at)++ != '\n')
		return -EINVAL;
	/* UINT32_MAX is no id: the last id of a range is smaller */
	if (!range->count || range->count > NO_ID - range->inside)
		return -EINVAL;
	return 0;
}

/*
 * Appends the ranges of a text to the `count` ranges that are there, without those that have no ids
 * in the daemon's user namespace.
 */
static int parse_ranges(const char *text, struct ipcfs_id_range *ranges, size_t *count)
{
	while (*text) {
		struct ipcfs_id_range range;

		if (parse_range(&text, &range))
			return -EINVAL;
		if (range.outside == NO_ID)
			continue;
		/* the ids of a namespace that is not inside of the daemon's may go beyond */
		if (range.count > NO_ID - range.outside)
			range.count = NO_ID - range.outside;
		ranges[(*count)++] = range;
	}
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		count++;
	}
	return count;
}

static size_t map_size(size_t ranges)
{
	return sizeof(struct ipcfs_id_map) + ranges * sizeof(struct ipcfs_id_range);
}

int ipcfs_id_map_parse(const char *uids, const char *gids, struct ipcfs_id_map **map)
{
	struct ipcfs_id_map *parsed = malloc(map_size(count_lines(uids) + count_lines(gids)));
	size_t count = 0;
	int error;

	if (!parsed)
		return -ENOMEM;
	error = parse_ranges(uids, parsed->ranges, &count);
	parsed->uids = count;
	if (!error)
		error = parse_ranges(gids, parsed->ranges, &count);
	parsed->gids = count - parsed->uids;
	if (error)
		free(parsed);
	else
		*map = parsed;
	return error;
}

/*
 * Reads a whole file, which the kernel may return in pieces.
 * -EINVAL: it is too long.
 */
static int read_text(int proc, const char *name, char text[TEXT_SIZE])
{
	IPCFS_DESCRIPTOR_AUTO int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = ipcfs_descriptor_read(fd, text, TEXT_SIZE);
	if (size < 0)
		return (int)size;
	return size == TEXT_SIZE - 1 ? -EINVAL : 0;
}

int ipcfs_id_map_read(int proc, struct ipcfs_id_map **map)
{
	__attribute__((cleanup(free_texts))) struct texts *texts = malloc(sizeof(*texts));
	int error;

	if (!texts)
		return -ENOMEM;
	error = read_text(proc, "uid_map", texts->uids);
	if (!error)
		error = read_text(proc, "gid_map", texts->gids);
	return error ? error : ipcfs_id_map_parse(texts->uids, texts->gids, map);
}

static int map_id(const struct ipcfs_id_range *ranges, size_t count, uint32_t id, uint32_t *inside)
{
	for (size_t i = 0; i < count; i++) {
		if (id < ranges[i].outside || id - ranges[i].outside >= ranges[i].count)
			continue;
		*inside = ranges[i].inside + (id - ranges[i].outside);
		return 0;
	}
	return -EINVAL;
}

int ipcfs_id_map_uid(const struct ipcfs_id_map *map, uid_t uid, uid_t *inside)
{
	return map ? map_id(map->ranges, map->uids, uid, inside) : -EINVAL;
}

int ipcfs_id_map_gid(const struct ipcfs_id_map *map, gid_t gid, gid_t *inside)
{
	return map ? map_id(map->ranges + map->uids, map->gids, gid, inside) : -EINVAL;
}

bool ipcfs_id_map_has_uid(const struct ipcfs_id_map *map, uid_t uid)
{
	uid_t inside;

	return !ipcfs_id_map_uid(map, uid, &inside);
}

bool ipcfs_id_map_has_gid(const struct ipcfs_id_map *map, gid_t gid)
{
	gid_t inside;

	return !ipcfs_id_map_gid(map, gid, &inside);
}
