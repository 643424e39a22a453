/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backends/contract/text.h"

static void assert_holds(const struct ipcfs_text *text, const char *expected)
{
	assert_int_equal(text->size, strlen(expected));
	assert_true(text->size <= text->capacity);
	if (text->size)
		assert_memory_equal(text->data, expected, text->size);
}

static void empty_text_is_valid(void **state)
{
	struct ipcfs_text text = { 0 };

	(void)state;
	ipcfs_text_drop(&text, 1);
	ipcfs_text_cut(&text, 0);
	assert_int_equal(ipcfs_text_add(&text, NULL, 0), 0);
	assert_holds(&text, "");
	ipcfs_text_free(&text);
	ipcfs_text_free(&text);
}

static void add_keeps_every_byte(void **state)
{
	struct ipcfs_text text = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char byte = (char)(i * 7);

		assert_int_equal(ipcfs_text_add(&text, &byte, 1), 0);
	}
	assert_int_equal(text.size, 100000);
	for (int i = 0; i < 100000; i++)
		assert_true(text.data[i] == (char)(i * 7));
	ipcfs_text_free(&text);
	assert_null(text.data);
	assert_int_equal(text.capacity, 0);
}

static void reserve_promises_room(void **state)
{
	struct ipcfs_text text = { 0 };
	const char *data;

	(void)state;
	assert_int_equal(ipcfs_text_add(&text, "abc", 3), 0);
	assert_int_equal(ipcfs_text_reserve(&text, 5000), 0);
	assert_true(text.capacity - text.size >= 5000);
	assert_holds(&text, "abc");
	data = text.data;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ipcfs_text_add(&text, "x", 1), 0);
	assert_ptr_equal(text.data, data);
	ipcfs_text_free(&text);
}

static void impossible_sizes_change_nothing(void **state)
{
	struct ipcfs_text text = { 0 };

	(void)state;
	assert_int_equal(ipcfs_text_add(&text, "abc", 3), 0);
	assert_int_equal(ipcfs_text_reserve(&text, SIZE_MAX), -ENOMEM);
	assert_int_equal(ipcfs_text_reserve(&text, SIZE_MAX / 2), -ENOMEM);
	assert_holds(&text, "abc");
	ipcfs_text_free(&text);
}

static void drop_and_cut_clear_what_they_leave(void **state)
{
	static const char nothing[8];
	struct ipcfs_text text = { 0 };

	(void)state;
	assert_int_equal(ipcfs_text_add(&text, "secret12", 8), 0);
	ipcfs_text_drop(&text, 3);
	assert_holds(&text, "ret12");
	assert_memory_equal(text.data + 5, nothing, 3);
	ipcfs_text_cut(&text, 2);
	assert_holds(&text, "re");
	assert_memory_equal(text.data + 2, nothing, 6);
	ipcfs_text_cut(&text, 5);
	assert_holds(&text, "re");
	ipcfs_text_drop(&text, 100);
	assert_holds(&text, "");
	assert_memory_equal(text.data, nothing, 8);
	ipcfs_text_free(&text);
}

static void printf_appends(void **state)
{
	struct ipcfs_text text = { 0 };
	char expected[300];

	(void)state;
	assert_int_equal(ipcfs_text_printf(&text, "%d", 1), 0);
	assert_int_equal(ipcfs_text_printf(&text, "-%s-%0200d", "two", 3), 0);
	assert_int_equal(ipcfs_text_printf(&text, "%s", ""), 0);
	snprintf(expected, sizeof(expected), "1-two-%0200d", 3);
	assert_holds(&text, expected);
	ipcfs_text_free(&text);
}

static void pair_quotes_what_needs_it(void **state)
{
	static const struct {
		const char *value, *line;
	} samples[] = {
		{ "plain", "key=plain\n" }, { "a_Z/0.9:+-", "key=a_Z/0.9:+-\n" },
		{ "", "key=\n" },	    { "two words", "key='two words'\n" },
		{ "~", "key='~'\n" },	    { "it's", "key='it'\\''s'\n" },
		{ "'", "key=''\\'''\n" },   { "a\nb", "key='a\nb'\n" },
		{ "\xff", "key='\xff'\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct ipcfs_text text = { 0 };

		assert_int_equal(ipcfs_text_pair(&text, "key", samples[i].value), 0);
		assert_holds(&text, samples[i].line);
		ipcfs_text_free(&text);
	}
}

/* Every byte that can be in a name passes through a shell unchanged. */
static void pair_can_be_sourced(void **state)
{
	static const char print[] = "printf %s \"$key\"";
	struct ipcfs_text command = { 0 };
	char value[256], back[512];
	FILE *shell;

	(void)state;
	for (int i = 1; i < 256; i++)
		value[i - 1] = (char)i;
	value[255] = '\0';
	assert_int_equal(ipcfs_text_pair(&command, "key", value), 0);
	assert_int_equal(ipcfs_text_add(&command, print, sizeof(print)), 0);
	shell = popen(command.data, "re");
	assert_non_null(shell);
	assert_int_equal(fread(back, 1, sizeof(back), shell), 255);
	assert_int_equal(pclose(shell), 0);
	assert_memory_equal(back, value, 255);
	ipcfs_text_free(&command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_text_is_valid),
		cmocka_unit_test(add_keeps_every_byte),
		cmocka_unit_test(reserve_promises_room),
		cmocka_unit_test(impossible_sizes_change_nothing),
		cmocka_unit_test(drop_and_cut_clear_what_they_leave),
		cmocka_unit_test(printf_appends),
		cmocka_unit_test(pair_quotes_what_needs_it),
		cmocka_unit_test(pair_can_be_sourced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
