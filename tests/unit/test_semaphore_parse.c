/* SPDX-License-Identifier: MIT */
/* Texts that may be written to the files of semaphores. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/semaphore/semaphore_parse.h"

static int amount(const char *text, uint32_t max)
{
	uint32_t found = 4711;
	int err = ipcfs_semaphore_parse_amount(text, strlen(text), max, &found);

	return err ? err : (int)found;
}

static void amounts(void **state)
{
	(void)state;
	assert_int_equal(amount("\n", 10), 1);
	assert_int_equal(amount("3\n", 10), 3);
	assert_int_equal(amount("3", 10), 3);
	assert_int_equal(amount(" 3\t\n", 10), 3);
	assert_int_equal(amount("\n\n\n", 10), 3);
	assert_int_equal(amount("2\n\n4\n", 10), 7);
	assert_int_equal(amount("007\n", 10), 7);
	assert_int_equal(amount("10\n", 10), 10);
	assert_int_equal(amount("11\n", 10), -ERANGE);
	assert_int_equal(amount("6\n6\n", 10), -ERANGE);
	assert_int_equal(amount("4294967295\n4294967295\n", 10), -ERANGE);
	assert_int_equal(amount("99999999999999999999\n", 10), -ERANGE);
	assert_int_equal(amount("0\n", 10), -ERANGE);
	assert_int_equal(amount("", 10), -ERANGE);
	assert_int_equal(amount("-1\n", 10), -EINVAL);
	assert_int_equal(amount("+1\n", 10), -EINVAL);
	assert_int_equal(amount("1 2\n", 10), -EINVAL);
	assert_int_equal(amount("1K\n", UINT32_MAX), -EINVAL);
	assert_int_equal(amount("x", 10), -EINVAL);
	assert_int_equal(ipcfs_semaphore_parse_amount("1\0002\n", 4, 10, &(uint32_t){ 0 }),
			 -EINVAL);
}

static int value(const char *text)
{
	uint32_t found = 4711;
	int err = ipcfs_semaphore_parse_value(text, strlen(text), 32767, &found);

	return err ? err : (int)found;
}

static void single_values(void **state)
{
	(void)state;
	assert_int_equal(value("0\n"), 0);
	assert_int_equal(value("32767"), 32767);
	assert_int_equal(value("32768\n"), -ERANGE);
	assert_int_equal(value("\n"), -EINVAL);
	assert_int_equal(value(""), -EINVAL);
	assert_int_equal(value("1\n\n"), -EINVAL);
	assert_int_equal(value("1\n2\n"), -EINVAL);
}

static void lists_of_values(void **state)
{
	static const uint32_t wanted[] = { 1, 0, 32767 };
	static const char *const good[] = { "1 0 32767\n", "1,0,32767", "1\n0\n32767\n",
					    " 1,\t0 32767" };
	struct ipcfs_text found = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ipcfs_text_cut(&found, 0);
		assert_int_equal(
			ipcfs_semaphore_parse_values(good[i], strlen(good[i]), 32767, &found), 0);
		assert_int_equal(found.size, sizeof(wanted));
		assert_memory_equal(found.data, wanted, sizeof(wanted));
	}
	assert_int_equal(ipcfs_semaphore_parse_values("1 x", 3, 32767, &found), -EINVAL);
	assert_int_equal(ipcfs_semaphore_parse_values("1 -1", 4, 32767, &found), -EINVAL);
	assert_int_equal(ipcfs_semaphore_parse_values("32768", 5, 32767, &found), -ERANGE);
	ipcfs_text_free(&found);
}

static int count_ops(const char *text, struct ipcfs_text *ops)
{
	int err;

	ipcfs_text_cut(ops, 0);
	err = ipcfs_semaphore_parse_ops(text, strlen(text), ops);
	return err ? err : (int)(ops->size / sizeof(struct ipcfs_semaphore_op));
}

static void operations(void **state)
{
	struct ipcfs_text ops = { 0 };
	const struct ipcfs_semaphore_op *op;

	(void)state;
	assert_int_equal(count_ops("0:-1 2:+1\t3:0 31999:7\n", &ops), 4);
	op = (const void *)ops.data;
	assert_int_equal(op[0].number, 0);
	assert_int_equal(op[0].delta, -1);
	assert_int_equal(op[1].number, 2);
	assert_int_equal(op[1].delta, 1);
	assert_int_equal(op[2].delta, 0);
	assert_int_equal(op[3].number, 31999);
	assert_int_equal(op[3].delta, 7);
	assert_int_equal(count_ops("4294967295:2147483647 0:-2147483647", &ops), 2);
	assert_int_equal(count_ops("4294967296:1", &ops), -EFBIG);
	assert_int_equal(count_ops("0:2147483648", &ops), -ERANGE);
	assert_int_equal(count_ops("", &ops), -EINVAL);
	assert_int_equal(count_ops("  \n", &ops), -EINVAL);
	assert_int_equal(count_ops("0", &ops), -EINVAL);
	assert_int_equal(count_ops("0:", &ops), -EINVAL);
	assert_int_equal(count_ops(":1", &ops), -EINVAL);
	assert_int_equal(count_ops("0:-", &ops), -EINVAL);
	assert_int_equal(count_ops("0:1:1", &ops), -EINVAL);
	assert_int_equal(count_ops("-1:1", &ops), -EINVAL);
	assert_int_equal(count_ops("0:+-1", &ops), -EINVAL);
	assert_int_equal(count_ops("0:1\n1:1\n", &ops), -EINVAL);
	ipcfs_text_free(&ops);
}

static int parse(const char *text, struct ipcfs_monitor_request *request)
{
	return ipcfs_semaphore_parse_verb(text, strlen(text), request);
}

static void assert_verb(const char *text, enum ipcfs_monitor_verb verb, const char *condition,
			uint32_t count)
{
	struct ipcfs_monitor_request request;

	assert_int_equal(parse(text, &request), 0);
	assert_int_equal(request.verb, verb);
	assert_string_equal(request.condition, condition);
	assert_int_equal(request.count, count);
}

#define NAME_63 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

static void verbs(void **state)
{
	(void)state;
	assert_verb("wait\n", IPCFS_MONITOR_WAIT, "", 1);
	assert_verb("wait", IPCFS_MONITOR_WAIT, "", 1);
	assert_verb("\twait  not-empty \n", IPCFS_MONITOR_WAIT, "not-empty", 1);
	assert_verb("wait _1.x", IPCFS_MONITOR_WAIT, "_1.x", 1);
	assert_verb("wait " NAME_63, IPCFS_MONITOR_WAIT, NAME_63, 1);
	assert_verb("wait wait", IPCFS_MONITOR_WAIT, "wait", 1);
	assert_verb("notify", IPCFS_MONITOR_NOTIFY, "", 1);
	assert_verb("notify 3", IPCFS_MONITOR_NOTIFY, "", 3);
	assert_verb("notify a", IPCFS_MONITOR_NOTIFY, "a", 1);
	assert_verb("notify a 4294967295\n", IPCFS_MONITOR_NOTIFY, "a", UINT32_MAX);
	assert_verb("broadcast", IPCFS_MONITOR_BROADCAST, "", 1);
	assert_verb("broadcast a", IPCFS_MONITOR_BROADCAST, "a", 1);
	assert_verb("leave\n", IPCFS_MONITOR_LEAVE, "", 1);
	assert_verb("enter\n", IPCFS_MONITOR_ENTER, "", 1);
}

static void refused_verbs(void **state)
{
	static const char *const malformed[] = {
		"",
		"\n",
		" ",
		"1",
		"waits",
		"wai",
		"Wait",
		"wait\n\n",
		"wait\nwait\n",
		"\nwait",
		"wait 3",
		"wait a b",
		"wait -",
		"wait a,b",
		"wait a=b",
		"wait \xc3\xa4",
		"wait a 1",
		"wait " NAME_63 "a",
		"notify a b",
		"notify 1 a",
		"notify -1",
		"notify a -1",
		"notify a 1K",
		"notify a 1 1",
		"notify 0x1",
		"broadcast 1",
		"leave a",
		"enter 1",
		"wait\ra",
		"notify 1 1",
	};
	struct ipcfs_monitor_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++)
		if (parse(malformed[i], &request) != -EINVAL)
			fail_msg("accepted: %s", malformed[i]);
	assert_int_equal(ipcfs_semaphore_parse_verb("wait\0", 5, &request), -EINVAL);
	assert_int_equal(ipcfs_semaphore_parse_verb("wait a\0", 7, &request), -EINVAL);
	assert_int_equal(parse("notify 0", &request), -ERANGE);
	assert_int_equal(parse("notify a 4294967296", &request), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amounts),	   cmocka_unit_test(single_values),
		cmocka_unit_test(lists_of_values), cmocka_unit_test(operations),
		cmocka_unit_test(verbs),	   cmocka_unit_test(refused_verbs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
