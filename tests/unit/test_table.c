/* SPDX-License-Identifier: MIT */
/*
 * The table of numbered items: numbers never come again, items stay where they are, memory goes
 * back.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/base/table.h"

#define ITEMS 20000
#define ITEM_SIZE 100
#define ROUNDS 200000

static struct ipcfs_table table;
static void *items[ITEMS];
static uint32_t numbers[ITEMS];

static int start(void **state)
{
	(void)state;
	return ipcfs_table_init(&table, ITEM_SIZE);
}

static int end(void **state)
{
	(void)state;
	ipcfs_table_destroy(&table);
	return 0;
}

static void add(size_t i)
{
	static const char zeros[ITEM_SIZE];

	items[i] = ipcfs_table_new(&table, &numbers[i]);
	assert_non_null(items[i]);
	assert_memory_equal(items[i], zeros, ITEM_SIZE);
	memset(items[i], (int)(i % 255 + 1), ITEM_SIZE);
}

static void check(size_t i)
{
	char wanted[ITEM_SIZE];

	memset(wanted, (int)(i % 255 + 1), ITEM_SIZE);
	assert_ptr_equal(ipcfs_table_at(&table, numbers[i]), items[i]);
	assert_memory_equal(items[i], wanted, ITEM_SIZE);
}

static void drop(size_t i)
{
	check(i);
	ipcfs_table_free(&table, numbers[i]);
	items[i] = NULL;
}

static void items_stay_where_they_are(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t i = (size_t)rand_r(&seed) % ITEMS;

		if (items[i])
			drop(i);
		else
			add(i);
	}
	for (size_t i = 0; i < ITEMS; i++)
		if (items[i])
			drop(i);
}

static void indexes_are_low(void **state)
{
	(void)state;
	for (size_t i = 0; i < ITEMS; i++) {
		add(i);
		assert_int_equal(numbers[i], i + 1);
	}
	assert_null(ipcfs_table_at(&table, 0));
	assert_null(ipcfs_table_at(&table, UINT32_MAX));
	for (size_t i = 0; i < ITEMS; i += 2)
		drop(i);
	for (size_t i = 0; i < ITEMS; i += 2) {
		add(i);
		assert_in_range(numbers[i], 1, ITEMS);
	}
	for (size_t i = 0; i < ITEMS; i++)
		drop(i);
}

/* The number of an item finds it while it is there, and nothing afterwards. */
static void numbers_never_come_again(void **state)
{
	uint64_t number, before = 0;

	(void)state;
	for (size_t i = 0; i < ITEMS; i++) {
		add(i);
		number = ipcfs_table_number(&table, numbers[i]);
		assert_int_equal(ipcfs_table_index(number), numbers[i]);
		assert_true(number > before);
		before = number;
		assert_ptr_equal(ipcfs_table_find(&table, number), items[i]);
		assert_null(ipcfs_table_find(&table, number + IPCFS_TABLE_MAX));
		if (i % 3)
			continue;
		drop(i);
		assert_null(ipcfs_table_find(&table, number));
	}
	assert_null(ipcfs_table_find(&table, 0));
	assert_null(ipcfs_table_find(&table, UINT64_MAX));
	for (size_t i = 0; i < ITEMS; i++)
		if (items[i])
			drop(i);
}

/* Bytes that are allocated. Always 0 with another C library, and the same under the sanitizers. */
static size_t heap_in_use(void)
{
#ifdef __GLIBC__
	return mallinfo2().uordblks + mallinfo2().hblkhd;
#else
	return 0;
#endif
}

/* Each life of a process begins with a new table and with what the one before left in the mark. */
static void numbers_go_on_after_a_death(void **state)
{
	_Atomic uint64_t mark = 0;
	uint64_t most = 0;
	uint32_t index;

	(void)state;
	for (int life = 0; life < 5; life++) {
		struct ipcfs_table next;

		assert_int_equal(ipcfs_table_init(&next, ITEM_SIZE), 0);
		/* the root of the tree */
		assert_non_null(ipcfs_table_new(&next, &index));
		assert_int_equal(ipcfs_table_number(&next, index), 1);
		ipcfs_table_continue(&next, &mark);
		for (int i = 0; i < ITEMS; i++) {
			uint64_t number;

			assert_non_null(ipcfs_table_new(&next, &index));
			number = ipcfs_table_number(&next, index);
			assert_true(number > most);
			assert_null(ipcfs_table_find(&next, most > 1 ? most : 2));
			most = number;
			ipcfs_table_free(&next, index);
		}
		ipcfs_table_destroy(&next);
	}
}

static void empty_chunks_are_freed(void **state)
{
	size_t before = heap_in_use();

	(void)state;
	for (size_t i = 0; i < ITEMS; i++)
		add(i);
	for (size_t i = 1; i < ITEMS; i++)
		drop(i);
	assert_true(heap_in_use() <= before + (size_t)2 * IPCFS_TABLE_CHUNK * 2 * ITEM_SIZE);
	assert_null(ipcfs_table_at(&table, ITEMS));
	drop(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(items_stay_where_they_are, start, end),
		cmocka_unit_test_setup_teardown(indexes_are_low, start, end),
		cmocka_unit_test_setup_teardown(numbers_never_come_again, start, end),
		cmocka_unit_test(numbers_go_on_after_a_death),
		cmocka_unit_test_setup_teardown(empty_chunks_are_freed, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
