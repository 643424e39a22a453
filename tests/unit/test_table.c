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

/* Makes items, and frees some. Notes the numbers of those that stay; 0: none. */
static void fill(struct ipcfs_table *of, uint64_t left[ITEMS])
{
	unsigned seed = 11;
	uint32_t index;

	memset(left, 0, ITEMS * sizeof(*left));
	for (uint32_t i = 1; i < ITEMS; i++)
		assert_non_null(ipcfs_table_new(of, &index));
	/* whole chunks are free, some are full, and in others there are gaps */
	for (index = 1; index < ITEMS; index++)
		if (index / IPCFS_TABLE_CHUNK % 5 == 2 ||
		    (index / IPCFS_TABLE_CHUNK % 5 != 3 && rand_r(&seed) % 2))
			ipcfs_table_free(of, index);
		else
			left[index] = ipcfs_table_number(of, index);
}

static void items_are_restored(void **state)
{
	static uint64_t left[ITEMS], fresh[ITEMS];
	_Atomic uint64_t mark = 0;
	struct ipcfs_table before;
	uint32_t index;

	(void)state;
	assert_int_equal(ipcfs_table_init(&before, ITEM_SIZE), 0);
	ipcfs_table_continue(&before, &mark);
	ipcfs_table_continue(&table, &mark);
	fill(&before, left);
	for (index = 1; index < ITEMS; index++)
		if (left[index])
			assert_non_null(
				ipcfs_table_restore(&table, index, left[index],
						    ipcfs_table_generation(&before, index)));
	/* new ones take what is free, and only that */
	memcpy(fresh, left, sizeof(fresh));
	for (uint32_t i = 1; i < ITEMS; i++) {
		if (left[i])
			continue;
		assert_non_null(ipcfs_table_new(&table, &index));
		assert_true(index < ITEMS && !fresh[index]);
		fresh[index] = ipcfs_table_number(&table, index);
		assert_null(ipcfs_table_find(&before, fresh[index]));
	}
	for (index = 1; index < ITEMS; index++) {
		assert_ptr_equal(ipcfs_table_find(&table, fresh[index]),
				 ipcfs_table_at(&table, index));
		if (left[index])
			assert_int_equal(ipcfs_table_generation(&table, index),
					 ipcfs_table_generation(&before, index));
		ipcfs_table_free(&table, index);
		assert_null(ipcfs_table_find(&table, fresh[index]));
	}
	ipcfs_table_destroy(&before);
}

static void what_cannot_be_is_not_restored(void **state)
{
	(void)state;
	assert_null(ipcfs_table_restore(&table, 0, 0, 1));
	assert_null(ipcfs_table_restore(&table, IPCFS_TABLE_MAX, IPCFS_TABLE_MAX, 1));
	assert_null(ipcfs_table_restore(&table, 7, 8, 1));
	assert_non_null(ipcfs_table_restore(&table, 7, IPCFS_TABLE_MAX * UINT64_C(5) + 7, 1));
	assert_null(ipcfs_table_restore(&table, 7, 7, 1)); /* it is there */
	assert_null(ipcfs_table_restore(&table, 6, 6, 1)); /* indexes rise */
	assert_non_null(ipcfs_table_restore(&table, IPCFS_TABLE_MAX - 1, 0, 1));
	assert_int_equal(ipcfs_table_index(ipcfs_table_number(&table, IPCFS_TABLE_MAX - 1)),
			 IPCFS_TABLE_MAX - 1);
}

/* Drops or checks the items of a chunk. */
static void each_of_chunk(uint32_t chunk, size_t count, void (*work)(size_t i))
{
	for (size_t i = 0; i < count; i++)
		if (items[i] && numbers[i] / IPCFS_TABLE_CHUNK == chunk)
			work(i);
}

static void an_empty_chunk_that_is_used_again_is_not_freed(void **state)
{
	size_t count = (size_t)3 * IPCFS_TABLE_CHUNK;

	(void)state;
	for (size_t i = 0; i < count; i++)
		add(i);
	each_of_chunk(2, count, drop);
	for (size_t i = 0; i < count; i++)
		if (!items[i])
			add(i);
	each_of_chunk(1, count, drop);
	each_of_chunk(2, count, check);
	each_of_chunk(2, count, drop);
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
		cmocka_unit_test_setup_teardown(items_are_restored, start, end),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_not_restored, start, end),
		cmocka_unit_test_setup_teardown(an_empty_chunk_that_is_used_again_is_not_freed,
						start, end),
		cmocka_unit_test_setup_teardown(empty_chunks_are_freed, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
