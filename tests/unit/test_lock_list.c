/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs/base/lock_list.h"

enum { ONE = 1, OTHER = 2 };

static struct ipcfs_lock *locks;

static struct ipcfs_lock lock(uint64_t owner, char type, off_t start, off_t end)
{
	return (struct ipcfs_lock){ .owner = owner,
				    .file = (uint32_t)owner,
				    .exclusive = type == 'w',
				    .start = start,
				    .end = end };
}

static void take(uint64_t owner, char type, off_t start, off_t end)
{
	const struct ipcfs_lock wanted = lock(owner, type, start, end);

	assert_null(ipcfs_lock_conflict(locks, &wanted));
	assert_int_equal(ipcfs_lock_take(&locks, &wanted), 0);
}

static void drop(uint64_t owner, off_t start, off_t end)
{
	const struct ipcfs_lock range = lock(owner, 'w', start, end);

	assert_int_equal(ipcfs_lock_drop(&locks, &range), 0);
}

/* Asserts who has what of the bytes 0 to 9: 'r' and 'w' of ONE, 'R' and 'W' of OTHER, or '.'. */
static void assert_locks(const char *expected)
{
	for (off_t at = 0; at < 10; at++) {
		char found = '.';

		for (const struct ipcfs_lock *item = locks; item; item = item->next) {
			if (item->flock || item->start > at || item->end < at)
				continue;
			assert_int_equal(found, '.');
			found = item->exclusive ? 'w' : 'r';
			if (item->owner == OTHER)
				found = item->exclusive ? 'W' : 'R';
		}
		assert_int_equal(found, expected[at]);
	}
}

static int drop_all(void **state)
{
	(void)state;
	ipcfs_lock_drop_file(&locks, ONE);
	ipcfs_lock_drop_file(&locks, OTHER);
	return locks ? -1 : 0;
}

static void ranges_are_cut(void **state)
{
	(void)state;
	take(ONE, 'w', 2, 7);
	assert_locks("..wwwwww..");
	drop(ONE, 4, 5);
	assert_locks("..ww..ww..");
	drop(ONE, 3, 6);
	assert_locks("..w....w..");
	take(ONE, 'r', 0, IPCFS_LOCK_END);
	assert_locks("rrrrrrrrrr");
	take(ONE, 'w', 9, IPCFS_LOCK_END);
	assert_locks("rrrrrrrrrw");
	drop(ONE, 0, 0);
	assert_locks(".rrrrrrrrw");
	drop(OTHER, 0, IPCFS_LOCK_END);
	assert_locks(".rrrrrrrrw");
	drop(ONE, 0, IPCFS_LOCK_END);
	assert_null(locks);
}

static void owners_exclude_each_other(void **state)
{
	const struct ipcfs_lock shared = lock(OTHER, 'r', 4, 6), exclusive = lock(OTHER, 'w', 4, 6);
	const struct ipcfs_lock *conflict;

	(void)state;
	take(ONE, 'r', 5, 5);
	assert_null(ipcfs_lock_conflict(locks, &shared));
	conflict = ipcfs_lock_conflict(locks, &exclusive);
	assert_non_null(conflict);
	assert_int_equal(conflict->owner, ONE);
	assert_int_equal(conflict->start, 5);
	take(OTHER, 'w', 6, 6);
	take(OTHER, 'w', 4, 4);
	assert_locks("....WrW...");
	take(ONE, 'w', 5, 5);
	assert_non_null(ipcfs_lock_conflict(locks, &shared));
	ipcfs_lock_drop_owner(&locks, OTHER);
	assert_locks(".....w....");
}

static void flock_is_apart(void **state)
{
	struct ipcfs_lock whole = lock(OTHER, 'w', 0, IPCFS_LOCK_END);

	(void)state;
	whole.flock = true;
	take(ONE, 'w', 0, 9);
	assert_null(ipcfs_lock_conflict(locks, &whole));
	assert_int_equal(ipcfs_lock_take(&locks, &whole), 0);
	assert_locks("wwwwwwwwww");
	ipcfs_lock_drop_owner(&locks, OTHER); /* a close(2) of the process keeps its flock(2) */
	whole.owner = ONE;
	assert_non_null(ipcfs_lock_conflict(locks, &whole));
	ipcfs_lock_drop_file(&locks, OTHER);
	assert_null(ipcfs_lock_conflict(locks, &whole));
}

static void one_file_takes_a_bounded_number(void **state)
{
	const struct ipcfs_lock one_more = lock(ONE, 'r', 2 * IPCFS_LOCKS_MAX, IPCFS_LOCK_END);

	(void)state;
	for (off_t i = 0; i < IPCFS_LOCKS_MAX; i++)
		take(ONE, 'r', 2 * i, 2 * i);
	assert_int_equal(ipcfs_lock_take(&locks, &one_more), -ENOLCK);
	take(OTHER, 'r', 0, IPCFS_LOCK_END);
	drop(ONE, 0, 0);
	take(ONE, 'r', 2 * IPCFS_LOCKS_MAX, IPCFS_LOCK_END);
}

static size_t count(void)
{
	size_t items = 0;

	for (const struct ipcfs_lock *item = locks; item; item = item->next)
		items++;
	return items;
}

static void unlocking_splits_a_bounded_number(void **state)
{
	int err = 0;

	(void)state;
	take(ONE, 'w', 0, IPCFS_LOCK_END);
	for (off_t i = 0; i < 2 * IPCFS_LOCKS_MAX && !err; i++) {
		const struct ipcfs_lock hole = lock(ONE, 'w', 2 * i + 1, 2 * i + 1);

		err = ipcfs_lock_drop(&locks, &hole);
	}
	assert_int_equal(err, -ENOLCK);
	assert_int_equal(count(), IPCFS_LOCKS_MAX);
	drop(ONE, 0, IPCFS_LOCK_END);
	assert_int_equal(count(), 0);
}

static void many_files_take_a_bounded_number(void **state)
{
	struct ipcfs_lock item = lock(ONE, 'r', 0, 0);
	int err = 0;

	(void)state;
	for (off_t i = 0; i < 2 * IPCFS_LOCKS_ALL_MAX && !err; i++) {
		item.start = item.end = 2 * i;
		item.file = (uint32_t)(i / 16);
		err = ipcfs_lock_take(&locks, &item);
	}
	assert_int_equal(err, -ENOLCK);
	assert_int_equal(count(), IPCFS_LOCKS_ALL_MAX);
	ipcfs_lock_drop_owner(&locks, ONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ranges_are_cut, drop_all),
		cmocka_unit_test_teardown(owners_exclude_each_other, drop_all),
		cmocka_unit_test_teardown(flock_is_apart, drop_all),
		cmocka_unit_test_teardown(one_file_takes_a_bounded_number, drop_all),
		cmocka_unit_test_teardown(unlocking_splits_a_bounded_number, drop_all),
		cmocka_unit_test_teardown(many_files_take_a_bounded_number, drop_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
