/* SPDX-License-Identifier: MIT */
/* How often messages were handed out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/access/quota.h"
#include "fs/tree/deliveries.h"

static struct ipcfs_deliveries deliveries;
static struct ipcfs_settings limits;
static struct ipcfs_quota *quota;

static int start(void **state)
{
	(void)state;
	ipcfs_settings_init(&limits);
	return ipcfs_quota_create(&limits, &quota);
}

static int end(void **state)
{
	(void)state;
	ipcfs_deliveries_free(&deliveries, quota);
	ipcfs_quota_destroy(quota);
	return 0;
}

static void note(long type, const char *text, size_t size, uint64_t count)
{
	const struct ipcfs_delivery delivery = {
		.mark = ipcfs_message_mark(type, text, size),
		.count = count,
		.uid = 1,
	};

	ipcfs_deliveries_note(&deliveries, &delivery, quota);
}

static uint64_t count_of(long type, const char *text, size_t size)
{
	const struct ipcfs_message_mark mark = ipcfs_message_mark(type, text, size);

	return ipcfs_deliveries_of(&deliveries, &mark);
}

static void messages_differ(void **state)
{
	(void)state;
	note(1, "job", 3, 2);
	note(1, NULL, 0, 7);
	assert_int_equal(count_of(1, "job", 3), 2);
	assert_int_equal(count_of(1, NULL, 0), 7);
	assert_int_equal(count_of(2, "job", 3), 0);
	assert_int_equal(count_of(1, "jo", 2), 0);
	assert_int_equal(count_of(1, "jox", 3), 0);
	note(1, "job", 3, 3);
	assert_int_equal(count_of(1, "job", 3), 3);
	assert_int_equal(deliveries.count, 2);
}

static void done_is_forgotten(void **state)
{
	const struct ipcfs_message_mark mark = ipcfs_message_mark(1, "a", 1);

	(void)state;
	note(1, "a", 1, 1);
	note(1, "b", 1, 2);
	ipcfs_deliveries_drop(&deliveries, &mark, quota);
	ipcfs_deliveries_drop(&deliveries, &mark, quota);
	assert_int_equal(count_of(1, "a", 1), 0);
	assert_int_equal(count_of(1, "b", 1), 2);
}

static void oldest_goes(void **state)
{
	(void)state;
	for (long i = 0; i < IPCFS_DELIVERIES_MAX; i++)
		note(i, "x", 1, 1);
	note(0, "x", 1, 2); /* it came back last */
	note(1000, "x", 1, 1);
	assert_int_equal(deliveries.count, IPCFS_DELIVERIES_MAX);
	assert_int_equal(count_of(0, "x", 1), 2);
	assert_int_equal(count_of(1, "x", 1), 0);
	assert_int_equal(count_of(2, "x", 1), 1);
	assert_int_equal(count_of(1000, "x", 1), 1);
}

static void counts_are_charged(void **state)
{
	const size_t size = sizeof(struct ipcfs_delivery);

	(void)state;
	limits.max_bytes = 2 * size;
	ipcfs_quota_limit(quota, &limits);
	note(1, "a", 1, 1);
	note(1, "b", 1, 1);
	note(1, "c", 1, 1); /* beyond max_bytes */
	assert_int_equal(deliveries.count, 2);
	assert_int_equal(count_of(1, "c", 1), 0);
	note(1, "a", 1, 2);
	assert_int_equal(count_of(1, "a", 1), 2);
	ipcfs_deliveries_free(&deliveries, quota);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 2 * size), 0);
	ipcfs_quota_release(quota, 1, 2 * size);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_differ),
		TEST(done_is_forgotten),
		TEST(oldest_goes),
		TEST(counts_are_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
