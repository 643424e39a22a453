/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fs/base/number.h"

static int number(const char *text, long min, long max, long *value)
{
	return ipcfs_number_parse(text, strlen(text), min, max, value);
}

static int whole(const char *text)
{
	long value;

	return number(text, LONG_MIN, LONG_MAX, &value);
}

static void number_round_trip(void **state)
{
	static const long samples[] = { 0,	  1,	       -1,	 9,
					10,	  -10,	       INT_MAX,	 INT_MIN,
					UINT_MAX, LONG_MAX,    LONG_MIN, LONG_MAX - 1,
					32767,	  LONG_MIN + 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char text[32];
		long value = 42;

		snprintf(text, sizeof(text), "%ld", samples[i]);
		assert_int_equal(number(text, LONG_MIN, LONG_MAX, &value), 0);
		assert_true(value == samples[i]);
	}
}

static void number_has_one_spelling(void **state)
{
	static const char *const bad[] = { "",	 "-",	"+1",  "-0",  "00",   "01",  "-01", " 1",
					   "1 ", "1\n", "0x1", "1e3", "--1",  "1-",  "1K",  "a",
					   "/",	 ":",	"1.0", "1,0", "\xb2", "-+1", "-00" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(whole(bad[i]), -EINVAL);
	assert_int_equal(ipcfs_number_parse("1\0002", 3, 0, 99, &(long){ 0 }), -EINVAL);
	assert_int_equal(ipcfs_number_parse(NULL, 0, 0, 99, &(long){ 0 }), -EINVAL);
}

static void number_knows_its_range(void **state)
{
	long value = 42;

	(void)state;
	assert_int_equal(number("0", 1, 5, &value), -ERANGE);
	assert_int_equal(number("6", 1, 5, &value), -ERANGE);
	assert_int_equal(number("-1", 1, 5, &value), -ERANGE);
	assert_int_equal(number("-7", -5, -1, &value), -ERANGE);
	assert_int_equal(value, 42);
	assert_int_equal(number("-5", -5, -1, &value), 0);
	assert_int_equal(value, -5);
	assert_int_equal(whole("9223372036854775808"), -ERANGE);
	assert_int_equal(whole("-9223372036854775809"), -ERANGE);
	assert_int_equal(whole("18446744073709551616"), -ERANGE);
	assert_int_equal(whole("-99999999999999999999999999"), -ERANGE);
	/* Too big, but above all not a number. */
	assert_int_equal(whole("99999999999999999999999999x"), -EINVAL);
}

/* Bytes behind `size` are not looked at. */
static void number_keeps_to_its_size(void **state)
{
	long value;

	(void)state;
	assert_int_equal(ipcfs_number_parse("123", 2, 0, 99, &value), 0);
	assert_int_equal(value, 12);
	assert_int_equal(ipcfs_number_parse("12x", 2, 0, 99, &value), 0);
}

static int size(const char *text, uint64_t max, uint64_t *value)
{
	return ipcfs_size_parse(text, strlen(text), max, value);
}

static void size_suffixes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "0010", 10 },
		{ "1K", 1024 },
		{ "010K", 10240 },
		{ "3M", 3145728 },
		{ "2G", 2147483648 },
		{ "1T", 1099511627776 },
		{ "0T", 0 },
		{ "18446744073709551615", UINT64_MAX },
		{ "18014398509481983K", UINT64_MAX - 1023 },
		{ "16777215T", UINT64_MAX - ((UINT64_C(1) << 40) - 1) },
	};
	static const char *const bad[] = { "",	   "K",	 "1k", "1KB", "1KK", "1 K", "-1", "+1",
					   "1.5K", "K1", "1P", "0x1", " 1",  "1\n", "T",  "1KiB" };
	static const char *const big[] = { "18446744073709551616", "18014398509481984K",
					   "16777216T", "99999999999999999999999T" };
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(size(good[i].text, UINT64_MAX, &value), 0);
		assert_true(value == good[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(size(bad[i], UINT64_MAX, &value), -EINVAL);
	for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++)
		assert_int_equal(size(big[i], UINT64_MAX, &value), -ERANGE);
}

static void size_knows_its_limit(void **state)
{
	uint64_t value = 42;

	(void)state;
	assert_int_equal(size("1023", 1023, &value), 0);
	assert_int_equal(size("1024", 1023, &value), -ERANGE);
	assert_int_equal(size("1K", 1023, &value), -ERANGE);
	assert_int_equal(size("1K", 1024, &value), 0);
	assert_int_equal(size("2K", 2047, &value), -ERANGE);
	assert_int_equal(size("1T", 0, &value), -ERANGE);
	assert_int_equal(size("0T", 0, &value), 0);
	assert_int_equal(ipcfs_size_parse(NULL, 0, 1, &value), -EINVAL);
}

/* Every mode of nine bits and more, compared with printf. */
static void mode_takes_read_and_write_bits(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 02000; bits++) {
		for (int width = 1; width < 30; width += 4) {
			char text[32];
			mode_t mode = 42;
			int want = bits & ~0666U ? -EINVAL : 0;

			snprintf(text, sizeof(text), "%0*o", width, bits);
			assert_int_equal(ipcfs_mode_parse(text, strlen(text), &mode), want);
			assert_int_equal(mode, want ? 42 : bits);
		}
	}
}

static void mode_refuses_all_else(void **state)
{
	static const char *const bad[] = { "",
					   "8",
					   "0680",
					   "-1",
					   "+600",
					   "0x1b0",
					   "u=rw",
					   " 600",
					   "600 ",
					   "1600",
					   "4600",
					   "600K",
					   "\n",
					   "0o600",
					   "40000000000000000000000",
					   "2000000000000000000000600" };
	mode_t mode;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipcfs_mode_parse(bad[i], strlen(bad[i]), &mode), -EINVAL);
}

static void seconds_are_rounded_up(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
		const char *again;
	} good[] = {
		{ "0", 0, "0" },
		{ "5", 5000000, "5" },
		{ "007", 7000000, "7" },
		{ "0.25", 250000, "0.25" },
		{ "1.50", 1500000, "1.5" },
		{ "10", 10000000, "10" },
		{ "0.000001", 1, "0.000001" },
		{ "0.0000001", 1, "0.000001" },
		{ "0.9999999", 1000000, "1" },
		{ "0.1000000000000000055", 100001, "0.100001" },
		{ "1000000", 1000000000000, "1000000" },
		{ "1000000.000", 1000000000000, "1000000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[IPCFS_SECONDS_SIZE];
		uint64_t us = 42;

		assert_int_equal(
			ipcfs_seconds_parse(good[i].text, strlen(good[i].text), 1000000, &us), 0);
		assert_int_equal(us, good[i].us);
		ipcfs_seconds_text(us, text);
		assert_string_equal(text, good[i].again);
	}
}

static void seconds_are_refused(void **state)
{
	static const char *const bad[] = { "",	 "-1",	  "+1",	 ".",	 "5.",
					   ".5", "1.2.3", "1,5", "1e3",	 "1s",
					   " 1", "1 ",	  "0x1", "1.-5", "99999999999999999999x" };
	static const char *const large[] = { "1000001", "1000000.0000001",
					     "99999999999999999999999999" };
	uint64_t us = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipcfs_seconds_parse(bad[i], strlen(bad[i]), 1000000, &us),
				 -EINVAL);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		assert_int_equal(ipcfs_seconds_parse(large[i], strlen(large[i]), 1000000, &us),
				 -ERANGE);
	assert_int_equal(us, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_round_trip),
		cmocka_unit_test(number_has_one_spelling),
		cmocka_unit_test(number_knows_its_range),
		cmocka_unit_test(number_keeps_to_its_size),
		cmocka_unit_test(size_suffixes),
		cmocka_unit_test(size_knows_its_limit),
		cmocka_unit_test(seconds_are_rounded_up),
		cmocka_unit_test(seconds_are_refused),
		cmocka_unit_test(mode_takes_read_and_write_bits),
		cmocka_unit_test(mode_refuses_all_else),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
