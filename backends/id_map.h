/* SPDX-License-Identifier: MIT */
/* Which of our ids the ids of another user namespace are (user_namespaces(7)). */
#ifndef IPCFS_ID_MAP_H
#define IPCFS_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ipcfs_id_range {
	uint32_t inside, outside, count; /* outside: as our own user namespace numbers them */
};

/* Plain data, in one piece. NULL stands for a map of nothing. */
struct ipcfs_id_map {
	size_t uids, gids;
	struct ipcfs_id_range ranges[]; /* those of users, then those of groups */
};

/*
 * From the text of /proc/PID/uid_map and gid_map; *map is freed with free(3). Ranges that we have no numbers
 * for are left out. -EINVAL: not such a text; -ENOMEM. Pure.
 */
int ipcfs_id_map_parse(const char *uids, const char *gids, struct ipcfs_id_map **map);

/*
 * That of the thread whose directory of /proc this is, which is not in our user namespace: one in ours is shown
 * the numbers of the one around. Errors of openat(2) and read(2), and as parse.
 */
int ipcfs_id_map_read(int proc, struct ipcfs_id_map **map);

/* A copy, NULL of NULL. -ENOMEM. */
int ipcfs_id_map_copy(struct ipcfs_id_map **to, const struct ipcfs_id_map *from);

/* Has our id a number in there? */
bool ipcfs_id_map_has_uid(const struct ipcfs_id_map *map, uid_t uid);
bool ipcfs_id_map_has_gid(const struct ipcfs_id_map *map, gid_t gid);

/* Which one it is. -EINVAL: it has none. */
int ipcfs_id_map_uid(const struct ipcfs_id_map *map, uid_t uid, uid_t *inside);
int ipcfs_id_map_gid(const struct ipcfs_id_map *map, gid_t gid, gid_t *inside);

#endif
