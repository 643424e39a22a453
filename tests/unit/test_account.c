/* SPDX-License-Identifier: MIT */
/* What each uid uses: never more than it may, and nothing is remembered of those who use nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fs/account.h"

#define SECOND UINT64_C(1000000000)

static struct ipcfs_account *account;
static struct ipcfs_settings limits;

static int start(void **state)
{
	(void)state;
	ipcfs_settings_init(&limits);
	limits.max_waiters = 2;
	limits.max_waiters_all = 3;
	limits.max_opens = 2;
	limits.rate = 10;
	return ipcfs_account_create(&limits, &account);
}

static int end(void **state)
{
	(void)state;
	ipcfs_account_destroy(account);
	return 0;
}

static void waiters(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_account_wait(account, 1), 0);
	assert_false(ipcfs_account_is_full(account, 1));
	assert_int_equal(ipcfs_account_wait(account, 1), 0);
	assert_true(ipcfs_account_is_full(account, 1));
	assert_int_equal(ipcfs_account_wait(account, 1), -EAGAIN);
	assert_false(ipcfs_account_is_full(account, 2));
	assert_int_equal(ipcfs_account_wait(account, 2), 0);
	assert_true(ipcfs_account_is_full(account, 3));
	assert_int_equal(ipcfs_account_wait(account, 3), -EAGAIN);
	ipcfs_account_waited(account, 1);
	assert_int_equal(ipcfs_account_wait(account, 3), 0);
	ipcfs_account_waited(account, 1);
	ipcfs_account_waited(account, 2);
	ipcfs_account_waited(account, 3);
	assert_int_equal(ipcfs_account_size(account), 0);
}

static void opens(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_account_open(account, 1), 0);
	assert_int_equal(ipcfs_account_open(account, 1), 0);
	assert_int_equal(ipcfs_account_open(account, 1), -EMFILE);
	assert_int_equal(ipcfs_account_open(account, 2), 0);
	ipcfs_account_closed(account, 1);
	assert_int_equal(ipcfs_account_open(account, 1), 0);
	limits.max_opens = 0;
	ipcfs_account_limit(account, &limits);
	assert_int_equal(ipcfs_account_open(account, 1), 0);
	for (int i = 0; i < 3; i++)
		ipcfs_account_closed(account, 1);
	ipcfs_account_closed(account, 2);
	assert_int_equal(ipcfs_account_size(account), 0);
}

static void unfinished(void **state)
{
	(void)state;
	for (int i = 0; i < IPCFS_UNFINISHED_MAX; i++)
		assert_int_equal(ipcfs_account_begin(account, 1), 0);
	assert_int_equal(ipcfs_account_begin(account, 1), -EAGAIN);
	assert_int_equal(ipcfs_account_begin(account, 2), 0);
	ipcfs_account_finished(account, 2);
	for (int i = 0; i < IPCFS_UNFINISHED_MAX; i++)
		ipcfs_account_finished(account, 1);
	assert_int_equal(ipcfs_account_size(account), 0);
}

static void makes(void **state)
{
	unsigned limit;

	(void)state;
	assert_int_equal(ipcfs_account_make(account, 1, &limit), 0);
	assert_int_equal(limit, 0);
	limits.max_objects = 5;
	ipcfs_account_limit(account, &limits);
	assert_int_equal(ipcfs_account_make(account, 1, &limit), 1);
	assert_int_equal(ipcfs_account_make(account, 1, &limit), 2);
	assert_int_equal(ipcfs_account_make(account, 2, &limit), 1);
	assert_int_equal(limit, 5);
	ipcfs_account_made(account, 1);
	assert_int_equal(ipcfs_account_make(account, 1, &limit), 2);
	ipcfs_account_made(account, 1);
	ipcfs_account_made(account, 1);
	ipcfs_account_made(account, 2);
	assert_int_equal(ipcfs_account_size(account), 0);
}

/* How many of `tries` requests at this moment come through. */
static unsigned let_in(uid_t uid, uint64_t now, unsigned tries)
{
	unsigned in = 0;

	while (tries--) {
		int err = ipcfs_account_take(account, uid, now);

		if (!err)
			in++;
		else
			assert_int_equal(err, -EAGAIN);
	}
	return in;
}

static void a_bucket_fills_at_its_rate(void **state)
{
	uint64_t now = 1000 * SECOND;

	(void)state;
	assert_int_equal(let_in(1, now, 100), 10);
	assert_int_equal(let_in(2, now, 5), 5); /* another one's is another's */
	assert_int_equal(let_in(1, now + SECOND / 20, 100), 0);
	assert_int_equal(let_in(1, now + SECOND / 10, 100), 1);
	assert_int_equal(let_in(1, now + SECOND / 2, 100), 4);
	/* Not more than a second's worth is ever saved up. */
	assert_int_equal(let_in(1, now + 100 * SECOND, 100), 10);
	assert_int_equal(let_in(2, now + SECOND / 10, 100), 6);
}

static void rates_are_exact_in_the_long_run(void **state)
{
	static const unsigned rates[] = { 1, 3, 7, 999, 65536, IPCFS_RATE_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		uint64_t in = 0, now = SECOND;

		limits.rate = rates[i];
		ipcfs_account_limit(account, &limits);
		for (unsigned tick = 0; tick < 1000; tick++, now += SECOND / 100)
			in += let_in((uid_t)i, now, rates[i] / 50 + 2);
		/* Ten seconds, and what was saved before. */
		assert_in_range(in, (uint64_t)rates[i] * 10, (uint64_t)rates[i] * 11 + 11);
	}
}

static void full_buckets_are_forgotten(void **state)
{
	uint64_t now = SECOND;

	(void)state;
	for (uid_t uid = 0; uid < 100000; uid++, now += SECOND / 10)
		assert_int_equal(ipcfs_account_take(account, uid, now), 0);
	assert_in_range(ipcfs_account_size(account), 1, 1000);
	/* What is in use stays. */
	assert_int_equal(ipcfs_account_open(account, 7), 0);
	for (uid_t uid = 0; uid < 1000; uid++, now += SECOND)
		assert_int_equal(ipcfs_account_take(account, 1000 + uid, now), 0);
	ipcfs_account_closed(account, 7);
	limits.rate = 0;
	ipcfs_account_limit(account, &limits);
	assert_int_equal(ipcfs_account_size(account), 0);
	assert_int_equal(ipcfs_account_take(account, 1, now), 0);
	assert_int_equal(ipcfs_account_size(account), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waiters, start, end),
		cmocka_unit_test_setup_teardown(opens, start, end),
		cmocka_unit_test_setup_teardown(unfinished, start, end),
		cmocka_unit_test_setup_teardown(makes, start, end),
		cmocka_unit_test_setup_teardown(a_bucket_fills_at_its_rate, start, end),
		cmocka_unit_test_setup_teardown(rates_are_exact_in_the_long_run, start, end),
		cmocka_unit_test_setup_teardown(full_buckets_are_forgotten, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
