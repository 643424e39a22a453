/* SPDX-License-Identifier: MIT */
/* The ids of another user namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/caller.h"
#include "children.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RANGES 340 /* the most that the kernel takes */

static struct ipcfs_id_map *parse(const char *uids, const char *gids)
{
	struct ipcfs_id_map *map = NULL;

	assert_int_equal(ipcfs_id_map_parse(uids, gids, &map), 0);
	assert_non_null(map);
	return map;
}

/* -1: there is no id for it. */
static int64_t uid_in(const struct ipcfs_id_map *map, uid_t uid)
{
	uid_t inside;
	int error = ipcfs_id_map_uid(map, uid, &inside);

	assert_true(error == 0 || error == -EINVAL);
	assert_int_equal(ipcfs_id_map_has_uid(map, uid), !error);
	return error ? -1 : (int64_t)inside;
}

static int64_t gid_in(const struct ipcfs_id_map *map, gid_t gid)
{
	gid_t inside;
	int error = ipcfs_id_map_gid(map, gid, &inside);

	assert_true(error == 0 || error == -EINVAL);
	assert_int_equal(ipcfs_id_map_has_gid(map, gid), !error);
	return error ? -1 : (int64_t)inside;
}

static void users_and_groups(void **state)
{
	struct ipcfs_id_map *map = parse("         0     100000      65536\n"
					 "     70000       1000          1\n",
					 "         5         20         10\n");

	(void)state;
	assert_int_equal(uid_in(map, 99999), -1);
	assert_int_equal(uid_in(map, 100000), 0);
	assert_int_equal(uid_in(map, 165535), 65535);
	assert_int_equal(uid_in(map, 165536), -1);
	assert_int_equal(uid_in(map, 1000), 70000);
	assert_int_equal(uid_in(map, 1001), -1);
	assert_int_equal(uid_in(map, (uid_t)-1), -1);
	assert_int_equal(gid_in(map, 19), -1);
	assert_int_equal(gid_in(map, 20), 5);
	assert_int_equal(gid_in(map, 29), 14);
	assert_int_equal(gid_in(map, 30), -1);
	assert_int_equal(gid_in(map, 100000), -1);
	free(map);
}

static void maps_of_nothing(void **state)
{
	struct ipcfs_id_map *map = parse("", "");

	(void)state;
	assert_int_equal(uid_in(map, 0), -1);
	assert_int_equal(gid_in(map, 0), -1);
	free(map);
	assert_int_equal(uid_in(NULL, 0), -1);
	assert_int_equal(gid_in(NULL, 0), -1);
}

static void all_ids_there_are(void **state)
{
	struct ipcfs_id_map *map = parse("0 0 4294967295\n", "0 0 4294967295\n");

	(void)state;
	assert_int_equal(uid_in(map, 0), 0);
	assert_int_equal(uid_in(map, 4294967294), 4294967294);
	assert_int_equal(uid_in(map, (uid_t)-1), -1);
	free(map);
}

/* Ids that the daemon has no number for: of a user namespace that is not inside its own. */
static void ids_we_do_not_know(void **state)
{
	struct ipcfs_id_map *map = parse("0 4294967295 10\n20 30 1\n", "0 100 4294967295\n");

	(void)state;
	assert_int_equal(uid_in(map, (uid_t)-1), -1);
	assert_int_equal(uid_in(map, 0), -1);
	assert_int_equal(uid_in(map, 30), 20);
	assert_int_equal(gid_in(map, 99), -1);
	assert_int_equal(gid_in(map, 100), 0);
	assert_int_equal(gid_in(map, 4294967294), 4294967194);
	assert_int_equal(gid_in(map, (gid_t)-1), -1);
	free(map);
}

static void texts_that_are_no_map(void **state)
{
	static const char *const texts[] = {
		"\n",
		" ",
		"0",
		"0 0\n",
		"0 0 1",
		"0 0 0\n",
		"0 0 1 \n",
		"0 0 1 1\n",
		"0 0 1\n\n",
		"0\t0 1\n",
		"-1 0 1\n",
		"+1 0 1\n",
		"0x1 0 1\n",
		"0 0 1\nx",
		"a b c\n",
		"4294967296 0 1\n",
		"0 4294967296 1\n",
		"0 0 4294967296\n",
		"0 0 18446744073709551617\n",
		"0 0 99999999999999999999999999\n",
		"1 0 4294967295\n",
		"4294967295 0 1\n",
		"0 0\n1\n",
		"0 0 1\n1 1",
	};
	struct ipcfs_id_map *map = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(ipcfs_id_map_parse(texts[i], "", &map), -EINVAL);
		assert_int_equal(ipcfs_id_map_parse("0 0 1\n", texts[i], &map), -EINVAL);
		assert_null(map);
	}
}

static bool enter_user_namespace(void)
{
	return !unshare(CLONE_NEWUSER);
}

static bool write_ranges(pid_t process, const char *name)
{
	char path[64], *text = malloc((size_t)RANGES * 33 + 1);
	size_t size = 0;
	bool written;
	int fd;

	assert_non_null(text);
	/* every other id, so that no two ranges can be joined */
	for (int i = 0; i < RANGES; i++)
		size += (size_t)sprintf(text + size, "%d %d 1\n", 2 * i, 3 * i + 100);
	snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	written = fd >= 0 && write(fd, text, size) == (ssize_t)size;
	close(fd);
	free(text);
	return written;
}

/* More than the kernel shows in one read. */
static void long_maps_are_read_whole(void **state)
{
	pid_t child = child_start(enter_user_namespace);
	struct ipcfs_id_map *map;
	char path[64];
	int proc;

	(void)state;
	if (!child)
		skip();
	if (!write_ranges(child, "uid_map") || !write_ranges(child, "gid_map")) {
		child_end(child);
		skip();
	}
	snprintf(path, sizeof(path), "/proc/%d", child);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ipcfs_id_map_read(proc, &map), 0);
	for (int i = 0; i < RANGES; i++) {
		assert_int_equal(uid_in(map, (uid_t)(3 * i + 100)), 2 * i);
		assert_int_equal(gid_in(map, (gid_t)(3 * i + 100)), 2 * i);
		assert_int_equal(uid_in(map, (uid_t)(3 * i + 101)), -1);
	}
	free(map);
	child_end(child);
	assert_int_equal(ipcfs_id_map_read(proc, &map), -ESRCH);
	close(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_and_groups),	 cmocka_unit_test(maps_of_nothing),
		cmocka_unit_test(all_ids_there_are),	 cmocka_unit_test(ids_we_do_not_know),
		cmocka_unit_test(texts_that_are_no_map), cmocka_unit_test(long_maps_are_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
