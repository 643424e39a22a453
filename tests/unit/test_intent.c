/* SPDX-License-Identifier: MIT */
/* What is written into the files of semaphores. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/intent.h"

static int amount(const char *text, uint32_t max)
{
	uint32_t found = 4711;
	int err = ipcfs_intent_amount(text, strlen(text), max, &found);

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
	assert_int_equal(ipcfs_intent_amount("1\0002\n", 4, 10, &(uint32_t){ 0 }), -EINVAL);
}

static int value(const char *text)
{
	uint32_t found = 4711;
	int err = ipcfs_intent_value(text, strlen(text), 32767, &found);

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
		assert_int_equal(ipcfs_intent_values(good[i], strlen(good[i]), 32767, &found), 0);
		assert_int_equal(found.size, sizeof(wanted));
		assert_memory_equal(found.data, wanted, sizeof(wanted));
	}
	assert_int_equal(ipcfs_intent_values("1 x", 3, 32767, &found), -EINVAL);
	assert_int_equal(ipcfs_intent_values("1 -1", 4, 32767, &found), -EINVAL);
	assert_int_equal(ipcfs_intent_values("32768", 5, 32767, &found), -ERANGE);
	ipcfs_text_free(&found);
}

static int count_ops(const char *text, struct ipcfs_text *ops)
{
	int err;

	ipcfs_text_cut(ops, 0);
	err = ipcfs_intent_ops(text, strlen(text), ops);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amounts),
		cmocka_unit_test(single_values),
		cmocka_unit_test(lists_of_values),
		cmocka_unit_test(operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
