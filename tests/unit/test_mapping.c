/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/base/mapping.h"

#define SIZE (4 * IPCFS_MAPPING_BYTES)
#define MIB ((size_t)1 << 20)

static int file;

static int make_file(void **state)
{
	(void)state;
	file = memfd_create("mapping", MFD_CLOEXEC);
	return file < 0 || ftruncate(file, SIZE);
}

static int close_file(void **state)
{
	(void)state;
	ipcfs_mapping_drop(file);
	return close(file);
}

static void put(off_t offset, const char *text)
{
	assert_int_equal(pwrite(file, text, strlen(text) + 1, offset), strlen(text) + 1);
}

static void the_bytes_are_those_of_the_file_now(void **state)
{
	const char *bytes;
	unsigned which;

	(void)state;
	put(5000, "one");
	bytes = ipcfs_mapping_get(file, 5000, 4, &which);
	assert_string_equal(bytes, "one");
	put(5000, "two");
	assert_string_equal(bytes, "two");
	ipcfs_mapping_put(which);

	put(IPCFS_MAPPING_BYTES + 5000, "three");
	bytes = ipcfs_mapping_get(file, IPCFS_MAPPING_BYTES + 5000, 6, &which);
	assert_string_equal(bytes, "three");
	ipcfs_mapping_put(which);
}

static void what_is_not_in_memory_is_not_mapped(void **state)
{
	unsigned which;

	(void)state;
	put(4096, "x");
	assert_non_null(ipcfs_mapping_get(file, 4096, 4096, &which));
	ipcfs_mapping_put(which);
	assert_null(ipcfs_mapping_get(file, 4095, 10, &which));
	assert_null(ipcfs_mapping_get(file, 8000, 200, &which));
	assert_null(ipcfs_mapping_get(file, 0, MIB, &which));
	/* behind the end, and behind all files */
	assert_null(ipcfs_mapping_get(file, SIZE, 1, &which));
	assert_null(ipcfs_mapping_get(file, INT64_MAX - 4096, 4096, &which));
	assert_int_equal(ftruncate(file, 0), 0);
	assert_null(ipcfs_mapping_get(file, 4096, 4096, &which));
}

static void bytes_in_two_mappings_are_not_mapped(void **state)
{
	unsigned which;

	(void)state;
	put(IPCFS_MAPPING_BYTES - 2, "xyz");
	assert_null(ipcfs_mapping_get(file, IPCFS_MAPPING_BYTES - 2, 4, &which));
	assert_non_null(ipcfs_mapping_get(file, IPCFS_MAPPING_BYTES - 2, 2, &which));
	ipcfs_mapping_put(which);
}

static void a_mapping_in_use_is_kept(void **state)
{
	const off_t last = (off_t)IPCFS_MAPPINGS * IPCFS_MAPPING_BYTES;
	unsigned which[IPCFS_MAPPINGS], none;
	const char *first = NULL;

	(void)state;
	assert_int_equal(ftruncate(file, last + 100), 0);
	for (unsigned i = 0; i < IPCFS_MAPPINGS; i++) {
		const char *bytes;

		put((off_t)i * IPCFS_MAPPING_BYTES, "used");
		bytes = ipcfs_mapping_get(file, (off_t)i * IPCFS_MAPPING_BYTES, 5, &which[i]);
		assert_string_equal(bytes, "used");
		if (!i)
			first = bytes;
	}
	put(last, "more");
	assert_null(ipcfs_mapping_get(file, last, 5, &none));
	/* another user of a mapping that is there */
	assert_ptr_equal(ipcfs_mapping_get(file, 0, 5, &none), first);
	ipcfs_mapping_put(none);
	ipcfs_mapping_put(which[7]);
	assert_string_equal(ipcfs_mapping_get(file, last, 5, &which[7]), "more");
	assert_string_equal(first, "used");
	for (unsigned i = 0; i < IPCFS_MAPPINGS; i++)
		ipcfs_mapping_put(which[i]);
}

static void the_number_of_a_closed_file_means_another_file(void **state)
{
	int number = file;
	unsigned which;

	put(0, "old");
	assert_string_equal(ipcfs_mapping_get(file, 0, 4, &which), "old");
	ipcfs_mapping_put(which);
	assert_int_equal(close_file(state), 0);
	assert_int_equal(make_file(state), 0);
	assert_int_equal(file, number);
	put(0, "new");
	assert_string_equal(ipcfs_mapping_get(file, 0, 4, &which), "new");
	ipcfs_mapping_put(which);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_bytes_are_those_of_the_file_now, make_file,
						close_file),
		cmocka_unit_test_setup_teardown(what_is_not_in_memory_is_not_mapped, make_file,
						close_file),
		cmocka_unit_test_setup_teardown(bytes_in_two_mappings_are_not_mapped, make_file,
						close_file),
		cmocka_unit_test_setup_teardown(a_mapping_in_use_is_kept, make_file, close_file),
		cmocka_unit_test_setup_teardown(the_number_of_a_closed_file_means_another_file,
						make_file, close_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
