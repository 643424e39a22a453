/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/control/status_json.h"

/* Asserts that these lines become this JSON. */
static void becomes(const char *lines, const char *json)
{
	struct ipcfs_text status = { 0 }, out = { 0 };

	assert_int_equal(ipcfs_text_add(&status, lines, strlen(lines)), 0);
	assert_int_equal(ipcfs_status_json(&status, &out), 0);
	assert_int_equal(ipcfs_text_add(&out, "", 1), 0);
	assert_string_equal(out.data, json);
	ipcfs_text_free(&status);
	ipcfs_text_free(&out);
}

/* Asserts that an object of this name has these fields. */
static void shows(const char *name, const char *fields)
{
	struct ipcfs_text status = { 0 }, json = { 0 };

	assert_int_equal(ipcfs_text_pair(&status, "name", name), 0);
	assert_int_equal(ipcfs_text_add(&status, "uid=1\n", 7), 0);
	assert_int_equal(ipcfs_text_printf(&json, "{\"name\":%s,\"uid\":1}\n", fields), 0);
	becomes(status.data, json.data);
	ipcfs_text_free(&status);
	ipcfs_text_free(&json);
}

static void numbers_and_words(void **state)
{
	(void)state;
	becomes("id=0\nuid=4294967295\nbytes=18446744073709551615\nnotify=-1\n",
		"{\"id\":0,\"uid\":4294967295,\"bytes\":18446744073709551615,\"notify\":-1}\n");
	becomes("mode=0600\nkey=0x00000051\nstale=unknown\nlocked=no\n",
		"{\"mode\":\"0600\",\"key\":\"0x00000051\",\"stale\":\"unknown\",\"locked\":\"no\"}\n");
	becomes("a=\nb=-\nc=-0\nd=00\ne=1.5\nf=+1\ng=1e3\nh='1'\n",
		"{\"a\":\"\",\"b\":\"-\",\"c\":\"-0\",\"d\":\"00\",\"e\":\"1.5\",\"f\":\"+1\","
		"\"g\":\"1e3\",\"h\":\"1\"}\n");
	becomes("class=7\nname=12\nname_2=12\n",
		"{\"class\":\"7\",\"name\":\"12\",\"name_2\":12}\n");
	becomes("", "{}\n");
}

static void names(void **state)
{
	(void)state;
	shows("plain", "\"plain\"");
	shows("7", "\"7\"");
	shows("two words", "\"two words\"");
	shows("a\nuid=7\nb", "\"a\\u000auid=7\\u000ab\"");
	shows("it's '", "\"it's '\"");
	shows("q\"\\", "\"q\\\"\\\\\"");
	shows("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
}

static void utf8(void **state)
{
	(void)state;
	shows("k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80",
	      "\"k\xc3\xa4se \xe2\x82\xac \xf0\x9f\x98\x80\"");
	shows("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
	      "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
	shows("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
}

static void bytes_that_are_no_utf8(void **state)
{
	(void)state;
	shows("\xff", "\"\\u00ff\",\"name_hex\":\"ff\"");
	shows("a\xc3", "\"a\\u00c3\",\"name_hex\":\"61c3\"");
	shows("\xc3"
	      "a",
	      "\"\\u00c3a\",\"name_hex\":\"c361\"");
	shows("\xc3\xa4\x80", "\"\xc3\xa4\\u0080\",\"name_hex\":\"c3a480\"");
	/* overlong, surrogate, beyond the last character, cut short */
	shows("\xc0\xaf", "\"\\u00c0\\u00af\",\"name_hex\":\"c0af\"");
	shows("\xe0\x9f\xbf", "\"\\u00e0\\u009f\\u00bf\",\"name_hex\":\"e09fbf\"");
	shows("\xf0\x8f\xbf\xbf", "\"\\u00f0\\u008f\\u00bf\\u00bf\",\"name_hex\":\"f08fbfbf\"");
	shows("\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\",\"name_hex\":\"eda080\"");
	shows("\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\",\"name_hex\":\"f4908080\"");
	shows("\xf5\x80\x80\x80", "\"\\u00f5\\u0080\\u0080\\u0080\",\"name_hex\":\"f5808080\"");
	shows("\xe2\x82", "\"\\u00e2\\u0082\",\"name_hex\":\"e282\"");
	shows("\xe2\x82"
	      "a",
	      "\"\\u00e2\\u0082a\",\"name_hex\":\"e28261\"");
}

static void after_what_is_there(void **state)
{
	struct ipcfs_text status = { 0 }, out = { 0 };

	(void)state;
	assert_int_equal(ipcfs_text_printf(&status, "id=1\n"), 0);
	assert_int_equal(ipcfs_text_printf(&out, "x"), 0);
	assert_int_equal(ipcfs_status_json(&status, &out), 0);
	assert_int_equal(out.size, strlen("x{\"id\":1}\n"));
	assert_memory_equal(out.data, "x{\"id\":1}\n", out.size);
	ipcfs_text_free(&status);
	ipcfs_text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_words),
		cmocka_unit_test(names),
		cmocka_unit_test(utf8),
		cmocka_unit_test(bytes_that_are_no_utf8),
		cmocka_unit_test(after_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
