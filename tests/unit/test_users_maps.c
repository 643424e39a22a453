/* SPDX-License-Identifier: MIT */
/* Lines of /proc/PID/maps, with names that programs have chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "fs/control/users_maps.h"

struct found {
	size_t count;
	struct ipcfs_mapping all[16];
	int result; /* of add */
};

static int add(void *arg, const struct ipcfs_mapping *mapping)
{
	struct found *found = arg;

	assert_true(found->count < sizeof(found->all) / sizeof(*found->all));
	found->all[found->count++] = *mapping;
	return found->result;
}

/* Feeds the text in pieces of this size. */
static int feed(const char *text, size_t piece, struct found *found)
{
	struct ipcfs_maps maps = { .size = 0 };
	size_t size = strlen(text);
	int result = 0;

	for (size_t at = 0; !result && at < size; at += piece)
		result = ipcfs_maps_feed(&maps, text + at, piece < size - at ? piece : size - at,
					 add, found);
	return result;
}

static const char text[] =
	"55d0c8a00000-55d0c8a02000 r--p 00000000 fd:01 131342                     /usr/bin/cat\n"
	"55d0c9f01000-55d0c9f22000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f1b3c000000-7f1b3c021000 rw-p 00000000 00:00 0 \n"
	"7f8a275bb000-7f8a275bc000 rw-s 00000000 00:01 0                          /SYSV00000052 (deleted)\n"
	"7f8a275bc000-7f8a275bd000 rw-s 00000000 00:01 32769                      /SYSVdeadbeef (deleted)\n"
	"7f8a275bd000-7f8a275be000 rw-s 00000000 00:1f 7                          /dev/shm/a b\\012c\n"
	"ffffffffff600000-ffffffffff601000 --xp ffffffffff600000 fff:fffff 18446744073709551615 /x\n";

static void mappings_of_files_are_found(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct found found = { 0 };

		assert_int_equal(feed(text, piece, &found), 0);
		assert_int_equal(found.count, 5);
		assert_int_equal(found.all[0].device, makedev(0xfd, 1));
		assert_int_equal(found.all[0].inode, 131342);
		assert_false(found.all[0].attached);
		assert_int_equal(found.all[1].device, makedev(0, 1));
		assert_int_equal(found.all[1].inode, 0);
		assert_true(found.all[1].attached);
		assert_int_equal(found.all[2].inode, 32769);
		assert_true(found.all[2].attached);
		assert_int_equal(found.all[3].device, makedev(0, 0x1f));
		assert_int_equal(found.all[3].inode, 7);
		assert_false(found.all[3].attached);
		assert_int_equal(found.all[4].device, makedev(0xfff, 0xfffff));
		assert_true(found.all[4].inode == UINT64_MAX);
	}
}

static void an_error_ends_it(void **state)
{
	struct found found = { .result = -5 };

	(void)state;
	assert_int_equal(feed(text, sizeof(text), &found), -5);
	assert_int_equal(found.count, 1);
}

/* A path that only looks like that of a segment. */
static void names_of_segments_are_exact(void **state)
{
	static const struct {
		const char *path;
		bool attached;
	} samples[] = {
		{ "/SYSV00000052 (deleted)", true },
		{ "/SYSV00000052", true },
		{ "/SYSV0000005 (deleted)", false },
		{ "/SYSV000000520 (deleted)", false },
		{ "/SYSV0000005g (deleted)", false },
		{ "/SYSV", false },
		{ "/memfd:SYSV00000052 (deleted)", false },
		{ "/tmp/SYSV00000052 (deleted)", false },
		{ "/memfd:/SYSV00000052 (deleted)", false },
		{ "SYSV00000052", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		struct found found = { 0 };
		char line[200];

		snprintf(line, sizeof(line), "1000-2000 rw-s 00000000 00:01 5      %s\n",
			 samples[i].path);
		assert_int_equal(feed(line, sizeof(line), &found), 0);
		assert_int_equal(found.count, 1);
		assert_int_equal(found.all[0].attached, samples[i].attached);
	}
}

/* Of a path of any length the start is enough, and the next line is read as a line of its own. */
static void long_paths_are_passed_over(void **state)
{
	struct found found = { 0 };
	char line[9000];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "1000-2000 rw-s 00000000 00:01 5 /",
	       strlen("1000-2000 rw-s 00000000 00:01 5 /"));
	strcpy(line + 8000, "\n1000-2000 rw-s 00000000 00:01 6 /SYSV00000001 (deleted)\n");
	assert_int_equal(feed(line, 4096, &found), 0);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.all[0].inode, 5);
	assert_int_equal(found.all[1].inode, 6);
	assert_true(found.all[1].attached);
}

static void other_lines_are_passed_over(void **state)
{
	static const char *const lines[] = {
		"\n",
		"x\n",
		"1000-2000\n",
		"1000-2000 rw-s 0 00:01\n",
		"-\n",
		" 1-2 r 0 0:0 1",
		"1000-2000 rw-s 00000000 zz:01 5 /\n",
		"%n%n%n%s\n",
		"1-2 rw-s 0 0:1 x\n",
	};
	struct found found = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(feed(lines[i], 100, &found), 0);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_of_files_are_found),
		cmocka_unit_test(an_error_ends_it),
		cmocka_unit_test(names_of_segments_are_exact),
		cmocka_unit_test(long_paths_are_passed_over),
		cmocka_unit_test(other_lines_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
