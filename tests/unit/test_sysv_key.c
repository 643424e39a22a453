/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backends/sysv/sysv_key.h"

static void keys_have_many_spellings(void **state)
{
	static const struct {
		const char *name;
		uint32_t key;
	} samples[] = {
		{ "0x00004b45", 0x4b45 },
		{ "0x4b45", 0x4b45 },
		{ "0x4B45", 0x4b45 },
		{ "0X4b45", 0x4b45 },
		{ "0x1", 1 },
		{ "0xffffffff", 0xffffffff },
		{ "0x80000000", 0x80000000 },
		{ "0x0000000000000000000012345678", 0x12345678 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		uint32_t key = 0;

		assert_int_equal(ipcfs_sysv_key_parse(samples[i].name, &key), 0);
		assert_true(key == samples[i].key);
		assert_int_equal(ipcfs_sysv_name_check(samples[i].name), 0);
	}
}

static void other_words_are_no_keys(void **state)
{
	static const char *const samples[] = {
		"",	"0",	"0x",	"0x0",	 "0x00000000",	"x1",	"1",	 "123",
		"0x1g", "0x 1", " 0x1", "0x1 ",	 "0x1\n",	"-0x1", "0x-1",	 "0x100000000",
		"0xx1", "00x1", "4b45", "0x0x1", "0x123456789", "+0x1", "0x1.0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		uint32_t key;

		assert_int_equal(ipcfs_sysv_key_parse(samples[i], &key), -EINVAL);
		assert_int_equal(ipcfs_sysv_name_check(samples[i]), -EINVAL);
	}
}

static void ids_have_one_spelling(void **state)
{
	static const char *const wrong[] = {
		"",   "00",  "01",	   "-1",	  "+1",	 " 1",
		"1 ", "0x1", "2147483648", "99999999999", "1\n", "1a",
	};
	int id = -1;

	(void)state;
	assert_int_equal(ipcfs_sysv_id_parse("0", &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(ipcfs_sysv_id_parse("65537", &id), 0);
	assert_int_equal(id, 65537);
	assert_int_equal(ipcfs_sysv_id_parse("2147483647", &id), 0);
	assert_int_equal(id, INT_MAX);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(ipcfs_sysv_id_parse(wrong[i], &id), -EINVAL);
}

static void names_are_canonical(void **state)
{
	char name[NAME_MAX + 1];

	(void)state;
	ipcfs_sysv_name(0x4b45, 7, name);
	assert_string_equal(name, "0x00004b45");
	ipcfs_sysv_name(0xffffffff, 7, name);
	assert_string_equal(name, "0xffffffff");
	ipcfs_sysv_name(0, 7, name);
	assert_string_equal(name, "7");
	ipcfs_sysv_name(0, INT_MAX, name);
	assert_string_equal(name, "2147483647");
}

static void long_names_are_told_apart(void **state)
{
	char name[NAME_MAX + 2];

	(void)state;
	memset(name, '0', sizeof(name));
	name[1] = 'x';
	name[NAME_MAX - 1] = '1';
	name[NAME_MAX] = '\0';
	assert_int_equal(ipcfs_sysv_name_check(name), 0);
	name[NAME_MAX] = '1';
	name[NAME_MAX + 1] = '\0';
	assert_int_equal(ipcfs_sysv_name_check(name), -ENAMETOOLONG);
	assert_int_equal(ipcfs_sysv_name_check("private"), 0);
	assert_int_equal(ipcfs_sysv_name_check("Private"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_have_many_spellings),
		cmocka_unit_test(other_words_are_no_keys),
		cmocka_unit_test(ids_have_one_spelling),
		cmocka_unit_test(names_are_canonical),
		cmocka_unit_test(long_names_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
