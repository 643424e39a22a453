/* SPDX-License-Identifier: MIT */
/*
 * The notes of a worker for its successor: whenever the worker ends, its entries are there,
 * whole, and no two of them share memory.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "fs/base/ledger.h"

#define ENTRIES 4000
#define ROUNDS 20000
#define HEAD 16 /* bytes in front of each entry */
#define LONG_MAX_BYTES (3 * IPCFS_LEDGER_CHUNK)
#define THREADS 8

static struct ipcfs_ledger_memory *memory;
static struct ipcfs_ledger *ledger;
static size_t sizes[ENTRIES]; /* of the entries, by index */
static unsigned char marks[ENTRIES];
static bool is_there[ENTRIES];
static const char bytes[LONG_MAX_BYTES]; /* zeros */

static int start(void **state)
{
	(void)state;
	memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	memset(is_there, 0, sizeof(is_there));
	ledger = ipcfs_ledger_open(memory);
	return ledger ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	ipcfs_ledger_close(ledger);
	return munmap(memory, sizeof(*memory));
}

/* Goes on as the next worker does. */
static void die(void)
{
	ipcfs_ledger_close(ledger);
	ledger = ipcfs_ledger_open(memory);
	assert_non_null(ledger);
}

/* 0 and 2000 have the first one, and 4 and 104 the same, however many there are. */
static enum ipcfs_ledger_shelf shelf_of(uint32_t index)
{
	return (enum ipcfs_ledger_shelf)(index % 100 % IPCFS_LEDGER_SHELVES);
}

/* Makes an entry that begins and ends with a mark. */
static void put(uint32_t index, size_t size, unsigned char mark)
{
	const struct iovec parts[] = { { &mark, 1 }, { (void *)bytes, size - 2 }, { &mark, 1 } };

	assert_int_equal(ipcfs_ledger_put(ledger, shelf_of(index), index, parts, 3), 0);
	sizes[index] = size;
	marks[index] = mark;
	is_there[index] = true;
}

static void drop(uint32_t index)
{
	ipcfs_ledger_drop(ledger, shelf_of(index), index);
	is_there[index] = false;
}

static void check(uint32_t index)
{
	size_t size = 0;
	const unsigned char *at = ipcfs_ledger_at(ledger, shelf_of(index), index, &size);

	if (!is_there[index]) {
		assert_null(at);
		return;
	}
	assert_non_null(at);
	assert_int_equal((uintptr_t)at % 8, 0);
	assert_int_equal(size, sizes[index]);
	assert_int_equal(at[0], marks[index]);
	assert_int_equal(at[size - 1], marks[index]);
}

static int compare(const void *a, const void *b)
{
	const uintptr_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Checks all entries, and that no two share memory. */
static void check_all(void)
{
	static uintptr_t places[ENTRIES][2];
	size_t count = 0;

	for (uint32_t i = 1; i < ENTRIES; i++) {
		check(i);
		if (!is_there[i])
			continue;
		places[count][0] = (uintptr_t)ipcfs_ledger_at(ledger, shelf_of(i), i, &sizes[i]) -
				   HEAD;
		places[count][1] = places[count][0] + HEAD + sizes[i];
		assert_true(places[count][0] >= (uintptr_t)memory->area);
		assert_true(places[count++][1] <= (uintptr_t)memory->area + sizeof(memory->area));
	}
	qsort(places, count, sizeof(places[0]), compare);
	for (size_t i = 1; i < count; i++)
		assert_true(places[i][0] >= places[i - 1][1]);
}

/* Most entries are short. */
static size_t any_size(unsigned *seed)
{
	static const size_t most[] = { 60, 500, 5000, 140000, LONG_MAX_BYTES - 2 };
	size_t sort = (size_t)rand_r(seed) % 100;

	return 2 + (size_t)rand_r(seed) % most[sort < 60   ? 0
					       : sort < 85 ? 1
					       : sort < 97 ? 2
					       : sort < 99 ? 3
							   : 4];
}

static void entries_are_put_replaced_and_dropped(void **state)
{
	unsigned seed = 3;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t index = 1 + (uint32_t)rand_r(&seed) % (ENTRIES - 1);

		check(index);
		if (rand_r(&seed) % 3)
			put(index, any_size(&seed), (unsigned char)rand_r(&seed));
		else
			drop(index);
		check(index);
		if (round % 1000)
			continue;
		check_all();
		die();
		check_all();
	}
}

static void next_finds_each_entry_once(void **state)
{
	static const uint32_t indexes[] = { 1, 2, 700, IPCFS_TABLE_MAX - 1 };
	const struct iovec part = { (void *)bytes, 9 };
	uint32_t at = 0;

	(void)state;
	assert_int_equal(ipcfs_ledger_next(ledger, IPCFS_LEDGER_NODES, 0), 0);
	for (size_t i = 4; i-- > 0;)
		assert_int_equal(ipcfs_ledger_put(ledger, IPCFS_LEDGER_NODES, indexes[i], &part, 1),
				 0);
	for (int life = 0; life < 2; life++, die()) {
		at = 0;
		for (size_t i = 0; i < 4; i++) {
			at = ipcfs_ledger_next(ledger, IPCFS_LEDGER_NODES, at);
			assert_int_equal(at, indexes[i]);
		}
		assert_int_equal(ipcfs_ledger_next(ledger, IPCFS_LEDGER_NODES, at), 0);
		assert_int_equal(ipcfs_ledger_next(ledger, IPCFS_LEDGER_FILES, 0), 0);
	}
	ipcfs_ledger_drop(ledger, IPCFS_LEDGER_NODES, 700);
	assert_int_equal(ipcfs_ledger_next(ledger, IPCFS_LEDGER_NODES, 2), IPCFS_TABLE_MAX - 1);
	ipcfs_ledger_drop(ledger, IPCFS_LEDGER_NODES, 699); /* there is none */
}

static void an_entry_has_any_size(void **state)
{
	static const size_t edges[] = {
		IPCFS_LEDGER_CHUNK / 2 - HEAD, IPCFS_LEDGER_CHUNK / 2 - HEAD + 1,
		IPCFS_LEDGER_CHUNK - HEAD,     IPCFS_LEDGER_CHUNK - HEAD + 1,
		2 * IPCFS_LEDGER_CHUNK,	       LONG_MAX_BYTES
	};

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		put(i + 1, edges[i], (unsigned char)(i + 1));
	for (uint32_t i = 2; i < 600; i++)
		put(i + 10, i, (unsigned char)i);
	assert_int_equal(ipcfs_ledger_put(ledger, IPCFS_LEDGER_FILES, 2001, NULL, 0), 0);
	check_all();
	die();
	check_all();
	assert_non_null(ipcfs_ledger_at(ledger, IPCFS_LEDGER_FILES, 2001, &sizes[0]));
	assert_int_equal(sizes[0], 0);
	/* what is free now is taken again, and nothing else */
	for (uint32_t i = 1; i < 600; i += 2)
		drop(i);
	for (uint32_t i = 1000; i < 2000; i++)
		put(i, i % 7 ? 50 : IPCFS_LEDGER_CHUNK, (unsigned char)i);
	check_all();
}

/* Words of the head of an entry: its magic number and its size. */
static uint64_t *head_of(uint32_t index)
{
	size_t size;

	return (uint64_t *)ipcfs_ledger_at(ledger, shelf_of(index), index, &size) - 2;
}

static _Atomic uint64_t *place_of(uint32_t index)
{
	return &memory->places[shelf_of(index)][index];
}

/* After a death the entries 100 to 104 are gone, and the others are what they were. */
static void check_dropped(void)
{
	die();
	for (uint32_t i = 100; i < 105; i++)
		is_there[i] = false;
	check_all();
	for (uint32_t i = 200; i < 400; i++)
		put(i, 20 + i, (unsigned char)i);
	check_all();
}

static void entries_that_cannot_be_are_dropped(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 60; i++)
		put(i, 10 + 30 * (size_t)i, (unsigned char)i);
	/* places: behind the area, in it but not of a block, and of an entry that is there */
	atomic_store(place_of(100), sizeof(memory->area) + 1);
	atomic_store(place_of(101), UINT64_MAX);
	atomic_store(place_of(102), atomic_load(place_of(7)) + 1);
	atomic_store(place_of(103), atomic_load(place_of(7)) + 64);
	atomic_store(place_of(106), atomic_load(place_of(4))); /* which is found first */
	for (int shelf = 0; shelf < IPCFS_LEDGER_SHELVES; shelf++)
		atomic_store(&memory->most[shelf], 200);
	check_dropped();
}

static void entries_with_a_wrong_head_are_dropped(void **state)
{
	(void)state;
	for (uint32_t i = 100; i < 104; i++)
		put(i, 40, 1);
	put(104, LONG_MAX_BYTES, 1);
	for (uint32_t i = 1; i < 60; i++)
		put(i, 10 + 30 * (size_t)i, (unsigned char)i);
	head_of(100)[0]++;
	head_of(101)[1] = UINT64_MAX;
	head_of(102)[1] = sizeof(memory->area) + 1;
	head_of(103)[1] = 2 * IPCFS_LEDGER_CHUNK;
	head_of(104)[1] = sizeof(memory->area) - HEAD;
	check_dropped();
}

static void an_index_above_all_is_no_harm(void **state)
{
	(void)state;
	put(5, 100, 5);
	for (int shelf = 0; shelf < IPCFS_LEDGER_SHELVES; shelf++)
		atomic_store(&memory->most[shelf], UINT32_MAX);
	die();
	check_all();
}

/* Returns the pages of the area that are in memory. */
static size_t pages_in_use(void)
{
	size_t pages = sizeof(memory->area) / 4096, used = 0;
	unsigned char *in_use = malloc(pages);

	assert_non_null(in_use);
	assert_int_equal(mincore(memory->area, sizeof(memory->area), in_use), 0);
	for (size_t i = 0; i < pages; i++)
		used += in_use[i] & 1;
	free(in_use);
	return used;
}

static void memory_is_given_back(void **state)
{
	size_t chunk = IPCFS_LEDGER_CHUNK / 4096;

	(void)state;
	for (int life = 0; life < 2; life++) {
		for (uint32_t i = 1; i < ENTRIES; i++)
			put(i, i % 100 ? 1000 : LONG_MAX_BYTES, 1);
		assert_true(pages_in_use() > 1000 + 39 * 3 * chunk);
		if (life)
			die();
		for (uint32_t i = 1; i < ENTRIES; i++)
			drop(i);
		assert_true(pages_in_use() <= chunk); /* one that is spare */
	}
}

/* Two such entries fill a chunk. */
#define HALF (IPCFS_LEDGER_CHUNK / 2 - HEAD)

static void memory_that_is_used_again_is_not_given_back(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 6; i++)
		put(i, HALF, (unsigned char)i);
	drop(5);
	drop(6);
	put(5, HALF, 7);
	put(6, HALF, 8);
	drop(3);
	drop(4);
	check_all();
	put(3, HALF, 9);
	check_all();
}

static void what_was_dropped_is_cleared(void **state)
{
	static const char secret[] = "a message of somebody";
	const struct iovec part = { (void *)secret, sizeof(secret) };

	(void)state;
	put(1, 100, 1); /* its chunk stays */
	assert_int_equal(ipcfs_ledger_put(ledger, IPCFS_LEDGER_FILES, 9, &part, 1), 0);
	put(3, 40, 1);
	assert_non_null(memmem(memory->area, IPCFS_LEDGER_CHUNK * 3, secret, sizeof(secret)));
	ipcfs_ledger_drop(ledger, IPCFS_LEDGER_FILES, 9);
	assert_null(memmem(memory->area, IPCFS_LEDGER_CHUNK * 3, secret, sizeof(secret)));
}

static void a_full_ledger_keeps_its_entries(void **state)
{
	const struct iovec huge = { (void *)bytes, sizeof(memory->area) };

	(void)state;
	put(1, 100, 1);
	assert_int_equal(ipcfs_ledger_put(ledger, shelf_of(1), 1, &huge, 1), -ENOMEM);
	check_all();
}

/* Does as entries_are_put_replaced_and_dropped, with indexes of its own. */
static void *work(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int round = 0; round < ROUNDS / 4; round++) {
		uint32_t index = 1 + (uint32_t)rand_r(&seed) % (ENTRIES / THREADS - 1);

		index = index * THREADS + (uint32_t)(uintptr_t)arg;
		if (index >= ENTRIES)
			continue;
		check(index);
		if (rand_r(&seed) % 3)
			put(index, any_size(&seed) % 9000 + 2, (unsigned char)rand_r(&seed));
		else
			drop(index);
	}
	return NULL;
}

static void many_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	check_all();
	die();
	check_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(entries_are_put_replaced_and_dropped, start, end),
		cmocka_unit_test_setup_teardown(next_finds_each_entry_once, start, end),
		cmocka_unit_test_setup_teardown(an_entry_has_any_size, start, end),
		cmocka_unit_test_setup_teardown(entries_that_cannot_be_are_dropped, start, end),
		cmocka_unit_test_setup_teardown(entries_with_a_wrong_head_are_dropped, start, end),
		cmocka_unit_test_setup_teardown(an_index_above_all_is_no_harm, start, end),
		cmocka_unit_test_setup_teardown(memory_is_given_back, start, end),
		cmocka_unit_test_setup_teardown(memory_that_is_used_again_is_not_given_back, start,
						end),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_cleared, start, end),
		cmocka_unit_test_setup_teardown(a_full_ledger_keeps_its_entries, start, end),
		cmocka_unit_test_setup_teardown(many_threads, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
