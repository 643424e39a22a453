/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor.h"
#include "id_map.h"

#define TEXT_ROOM 16384 /* the kernel keeps 340 lines at most, of 33 bytes */
#define NO_ID UINT32_MAX

struct texts {
	char uids[TEXT_ROOM], gids[TEXT_ROOM];
};

static void free_texts(struct texts **texts)
{
	free(*texts);
}

/* A decimal number after blanks, which is what stands in such a file and nothing else. */
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
	/* -1 is no id, so that the last one is below */
	if (!range->count || range->count > NO_ID - range->inside)
		return -EINVAL;
	return 0;
}

/* Adds what we have numbers for behind the `count` ranges that are there. */
static int parse_ranges(const char *text, struct ipcfs_id_range *ranges, size_t *count)
{
	while (*text) {
		struct ipcfs_id_range range;

		if (parse_range(&text, &range))
			return -EINVAL;
		if (range.outside == NO_ID)
			continue;
		/* one that is not inside of ours may go further than our numbers do */
		if (range.count > NO_ID - range.outside)
			range.count = NO_ID - range.outside;
		ranges[(*count)++] = range;
	}
	return 0;
}

static size_t lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		count++;
	}
	return count;
}

static size_t size_of(size_t ranges)
{
	return sizeof(struct ipcfs_id_map) + ranges * sizeof(struct ipcfs_id_range);
}

int ipcfs_id_map_parse(const char *uids, const char *gids, struct ipcfs_id_map **map)
{
	struct ipcfs_id_map *parsed = malloc(size_of(lines(uids) + lines(gids)));
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

/* Such a file comes in several pieces. */
static int read_text(int proc, const char *name, char text[TEXT_ROOM])
{
	IPCFS_DESCRIPTOR_AUTO int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = ipcfs_descriptor_read(fd, text, TEXT_ROOM);
	if (size < 0)
		return (int)size;
	return size == TEXT_ROOM - 1 ? -EINVAL : 0;
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

int ipcfs_id_map_copy(struct ipcfs_id_map **to, const struct ipcfs_id_map *from)
{
	struct ipcfs_id_map *copy = NULL;

	if (from) {
		size_t size = size_of(from->uids + from->gids);

		copy = malloc(size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, from, size);
	}
	*to = copy;
	return 0;
}

static int find(const struct ipcfs_id_range *ranges, size_t count, uint32_t id, uint32_t *inside)
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
	return map ? find(map->ranges, map->uids, uid, inside) : -EINVAL;
}

int ipcfs_id_map_gid(const struct ipcfs_id_map *map, gid_t gid, gid_t *inside)
{
	return map ? find(map->ranges + map->uids, map->gids, gid, inside) : -EINVAL;
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
