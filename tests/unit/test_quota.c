/* SPDX-License-Identifier: MIT */
/* The use of each uid: never above its limit, and nothing is kept of a uid that uses nothing. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/access/quota.h"

#define SECOND UINT64_C(1000000000)
#define UIDS 100000
#define KEPT_MAX (UIDS * 8) /* bytes; an entry for each uid takes ten times as much */

static struct ipcfs_quota *quota;
static struct ipcfs_settings limits;

static int start(void **state)
{
	(void)state;
	ipcfs_settings_init(&limits);
	limits.max_waiters = 2;
	limits.max_waiters_all = 3;
	limits.max_opens = 2;
	limits.max_leases = 2;
	limits.max_bytes = 1000;
	limits.rate = 10;
	return ipcfs_quota_create(&limits, &quota);
}

static int end(void **state)
{
	(void)state;
	ipcfs_quota_destroy(quota);
	return 0;
}

/* Asserts what all uids use together. */
static void totals(unsigned waiting, unsigned open)
{
	struct ipcfs_quota_totals now;

	ipcfs_quota_totals(quota, &now);
	assert_int_equal(now.waiting, waiting);
	assert_int_equal(now.waiting_limit, limits.max_waiters_all);
	assert_int_equal(now.open, open);
}

static void waiters(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_quota_wait(quota, 1), 0);
	assert_false(ipcfs_quota_is_full(quota, 1));
	assert_int_equal(ipcfs_quota_wait(quota, 1), 0);
	assert_true(ipcfs_quota_is_full(quota, 1));
	assert_int_equal(ipcfs_quota_wait(quota, 1), -EAGAIN);
	assert_false(ipcfs_quota_is_full(quota, 2));
	assert_int_equal(ipcfs_quota_wait(quota, 2), 0);
	assert_true(ipcfs_quota_is_full(quota, 3));
	assert_int_equal(ipcfs_quota_wait(quota, 3), -EAGAIN);
	ipcfs_quota_waited(quota, 1);
	assert_int_equal(ipcfs_quota_wait(quota, 3), 0);
	totals(3, 0);
	ipcfs_quota_waited(quota, 1);
	ipcfs_quota_waited(quota, 2);
	ipcfs_quota_waited(quota, 3);
	totals(0, 0);
}

static int lease(uid_t uid)
{
	int err = ipcfs_quota_lease(quota, uid);

	if (!err)
		ipcfs_quota_leased(quota, uid);
	return err;
}

/* Attempts count, but say nothing about the limit: they may find no message. */
static void attempted_leases(void **state)
{
	(void)state;
	assert_int_equal(lease(1), 0);
	assert_int_equal(ipcfs_quota_lease(quota, 1), 0);
	assert_int_equal(ipcfs_quota_lease(quota, 1), -EAGAIN);
	assert_int_equal(ipcfs_quota_lease(quota, 2), 0);
	ipcfs_quota_lease_failed(quota, 2);
	ipcfs_quota_lease_failed(quota, 1);
	assert_int_equal(ipcfs_quota_lease(quota, 1), 0);
	ipcfs_quota_leased(quota, 1);
	assert_int_equal(ipcfs_quota_lease(quota, 1), -EDQUOT);
	ipcfs_quota_lease_ended(quota, 1);
	ipcfs_quota_lease_ended(quota, 1);
}

static void leases(void **state)
{
	(void)state;
	assert_int_equal(lease(1), 0);
	assert_int_equal(lease(1), 0);
	assert_int_equal(lease(1), -EDQUOT);
	assert_int_equal(lease(2), 0);
	ipcfs_quota_lease_ended(quota, 1);
	assert_int_equal(lease(1), 0);
	limits.max_leases = 0;
	ipcfs_quota_limit(quota, &limits);
	assert_int_equal(lease(1), 0);
	for (int i = 0; i < 3; i++)
		ipcfs_quota_lease_ended(quota, 1);
	ipcfs_quota_lease_ended(quota, 2);
}

static void opens(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_quota_open(quota, 1), 0);
	assert_int_equal(ipcfs_quota_open(quota, 1), 0);
	assert_int_equal(ipcfs_quota_open(quota, 1), -EMFILE);
	assert_int_equal(ipcfs_quota_open(quota, 2), 0);
	ipcfs_quota_closed(quota, 1);
	assert_int_equal(ipcfs_quota_open(quota, 1), 0);
	limits.max_opens = 0;
	ipcfs_quota_limit(quota, &limits);
	assert_int_equal(ipcfs_quota_open(quota, 1), 0);
	totals(0, 4);
	for (int i = 0; i < 3; i++)
		ipcfs_quota_closed(quota, 1);
	ipcfs_quota_closed(quota, 2);
	totals(0, 0);
}

static void bytes(void **state)
{
	size_t charged = 0;

	(void)state;
	assert_int_equal(ipcfs_quota_charge(quota, 1, 600), 0);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 401), -ENOMEM);
	assert_int_equal(ipcfs_quota_charge(quota, 1, SIZE_MAX), -ENOMEM);
	assert_int_equal(ipcfs_quota_charge(quota, 2, 1001), -ENOMEM);
	assert_int_equal(ipcfs_quota_charge(quota, 2, 1000), 0);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 400), 0);
	ipcfs_quota_release(quota, 2, 1000);

	/* what is kept already is counted beyond the limit */
	assert_int_equal(ipcfs_quota_charge_kept(quota, 1, 50), 50);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 1), -ENOMEM);
	ipcfs_quota_release(quota, 1, 1050);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 1000), 0);
	ipcfs_quota_release(quota, 1, 1000);

	assert_int_equal(ipcfs_quota_recharge(quota, 1, &charged, 700), 0);
	assert_int_equal(ipcfs_quota_recharge(quota, 1, &charged, 1001), -ENOMEM);
	assert_int_equal(charged, 700);
	assert_int_equal(ipcfs_quota_recharge(quota, 1, &charged, 300), 0);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 700), 0);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 1), -ENOMEM);

	/* a smaller limit takes nothing away, and fewer bytes are never refused */
	limits.max_bytes = 10;
	ipcfs_quota_limit(quota, &limits);
	assert_int_equal(ipcfs_quota_recharge(quota, 1, &charged, 200), 0);
	limits.max_bytes = 0;
	ipcfs_quota_limit(quota, &limits);
	assert_int_equal(ipcfs_quota_charge(quota, 1, SIZE_MAX / 2), 0);
	ipcfs_quota_release(quota, 1, SIZE_MAX / 2);
	ipcfs_quota_release(quota, 1, 700);
	assert_int_equal(ipcfs_quota_recharge(quota, 1, &charged, 0), 0);
}

/* Returns how many bytes of log the uid causes that reaches the limit that often. */
static off_t logged(uid_t uid, unsigned times)
{
	int log = memfd_create("log", MFD_CLOEXEC), before = dup(STDERR_FILENO);
	struct stat written;

	assert_true(log >= 0 && before >= 0);
	assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
	for (unsigned i = 0; i < times; i++)
		assert_int_equal(ipcfs_quota_charge(quota, uid, 1001), -ENOMEM);
	ipcfs_quota_tell(quota);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	close(before);
	assert_int_equal(fstat(log, &written), 0);
	close(log);
	return written.st_size;
}

static void one_line(void **state)
{
	off_t line = logged(1, 1);

	(void)state;
	assert_true(line > 0);
	/* a uid of which nothing else is counted is remembered, too */
	assert_int_equal(logged(1, 10), 0);
	assert_int_equal(logged(2, 10), line);
}

static void makes(void **state)
{
	unsigned limit;

	(void)state;
	assert_int_equal(ipcfs_quota_make(quota, 1, &limit), 0);
	assert_int_equal(limit, 0);
	limits.max_objects = 5;
	ipcfs_quota_limit(quota, &limits);
	assert_int_equal(ipcfs_quota_make(quota, 1, &limit), 1);
	assert_int_equal(ipcfs_quota_make(quota, 1, &limit), 2);
	assert_int_equal(ipcfs_quota_make(quota, 2, &limit), 1);
	assert_int_equal(limit, 5);
	ipcfs_quota_made(quota, 1);
	assert_int_equal(ipcfs_quota_make(quota, 1, &limit), 2);
	ipcfs_quota_made(quota, 1);
	ipcfs_quota_made(quota, 1);
	ipcfs_quota_made(quota, 2);
}

/* Returns how many of `tries` requests at this moment are admitted. */
static unsigned let_in(uid_t uid, uint64_t now, unsigned tries)
{
	unsigned in = 0;

	while (tries--) {
		int err = ipcfs_quota_take(quota, uid, now);

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
	assert_int_equal(let_in(2, now, 5), 5); /* another uid has its own share */
	assert_int_equal(let_in(1, now + SECOND / 20, 100), 0);
	assert_int_equal(let_in(1, now + SECOND / 10, 100), 1);
	assert_int_equal(let_in(1, now + SECOND / 2, 100), 4);
	/* Never more than a second's worth is saved up. */
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
		ipcfs_quota_limit(quota, &limits);
		for (unsigned tick = 0; tick < 1000; tick++, now += SECOND / 100)
			in += let_in((uid_t)i, now, rates[i] / 50 + 2);
		/* Ten seconds, and what was saved before. */
		assert_in_range(in, (uint64_t)rates[i] * 10, (uint64_t)rates[i] * 11 + 11);
	}
}

/* Bytes that are allocated. Always 0 with another C library, and the same under the sanitizers. */
static size_t heap_in_use(void)
{
#ifdef __GLIBC__
	return mallinfo2().uordblks;
#else
	return 0;
#endif
}

static void idle_uids_take_no_memory(void **state)
{
	size_t before;
	unsigned limit;

	(void)state;
	limits.max_objects = 1;
	ipcfs_quota_limit(quota, &limits);
	before = heap_in_use();
	for (uid_t uid = 0; uid < UIDS; uid++) {
		assert_int_equal(ipcfs_quota_wait(quota, uid), 0);
		assert_int_equal(ipcfs_quota_open(quota, uid), 0);
		assert_int_equal(ipcfs_quota_charge(quota, uid, 7), 0);
		assert_int_equal(ipcfs_quota_make(quota, uid, &limit), 1);
		ipcfs_quota_waited(quota, uid);
		ipcfs_quota_closed(quota, uid);
		ipcfs_quota_release(quota, uid, 7);
		ipcfs_quota_made(quota, uid);
	}
	assert_true(heap_in_use() <= before + KEPT_MAX);
}

static void full_buckets_take_no_memory(void **state)
{
	size_t before = heap_in_use();
	uint64_t now = SECOND;

	(void)state;
	for (uid_t uid = 0; uid < UIDS; uid++, now += SECOND / 10)
		assert_int_equal(ipcfs_quota_take(quota, uid, now), 0);
	assert_true(heap_in_use() <= before + KEPT_MAX);
	/* The uid keeps what it uses. */
	assert_int_equal(ipcfs_quota_open(quota, 7), 0);
	for (uid_t uid = 0; uid < 1000; uid++, now += SECOND)
		assert_int_equal(ipcfs_quota_take(quota, 1000 + uid, now), 0);
	ipcfs_quota_closed(quota, 7);
}

/* However many other users come meanwhile. */
static void an_empty_bucket_stays_empty(void **state)
{
	(void)state;
	while (!ipcfs_quota_take(quota, 7, SECOND))
		;
	for (uid_t uid = 0; uid < 1000; uid++)
		assert_int_equal(ipcfs_quota_take(quota, 1000 + uid, SECOND), 0);
	assert_int_equal(ipcfs_quota_take(quota, 7, SECOND), -EAGAIN);
	assert_int_equal(ipcfs_quota_take(quota, 7, 2 * SECOND), 0);
}

static void without_a_rate_buckets_take_no_memory(void **state)
{
	size_t before = heap_in_use();

	(void)state;
	for (uid_t uid = 0; uid < UIDS; uid++)
		assert_int_equal(ipcfs_quota_take(quota, uid, SECOND), 0);
	limits.rate = 0;
	ipcfs_quota_limit(quota, &limits);
	assert_true(heap_in_use() <= before + KEPT_MAX);
	assert_int_equal(ipcfs_quota_take(quota, 1, SECOND), 0);
}

#define THREADS 8
#define ROUNDS 2000

static void fail_unless_done(int err)
{
	if (err)
		abort(); /* cmocka's asserts are for one thread */
}

static void *uses(void *arg)
{
	unsigned limit;

	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uid_t uid = i % 3;

		fail_unless_done(ipcfs_quota_open(quota, uid));
		fail_unless_done(ipcfs_quota_wait(quota, uid));
		fail_unless_done(ipcfs_quota_charge(quota, uid, 7));
		if (ipcfs_quota_is_full(quota, uid) || ipcfs_quota_make(quota, uid, &limit) <= 0)
			abort();
		(void)ipcfs_quota_take(quota, uid, i * SECOND);
		ipcfs_quota_made(quota, uid);
		ipcfs_quota_release(quota, uid, 7);
		ipcfs_quota_waited(quota, uid);
		ipcfs_quota_closed(quota, uid);
		if (i % 100 == 0)
			ipcfs_quota_limit(quota, &limits);
	}
	return NULL;
}

/* The thread sanitizer sees a lock that is missing. */
static void many_threads_may_count(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	limits.max_waiters = limits.max_waiters_all = limits.max_opens = 100;
	limits.max_objects = 100;
	ipcfs_quota_limit(quota, &limits);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, uses, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ipcfs_quota_open(quota, 1), 0);
	assert_int_equal(ipcfs_quota_open(quota, 1), -EMFILE);
	for (int i = 0; i < 100; i++)
		ipcfs_quota_closed(quota, 1);
}

/* Memory of segments has a sum of its own. */
static void memory(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_quota_memory(quota, 1, 600, false), 0);
	assert_int_equal(ipcfs_quota_memory(quota, 1, 401, false), -ENOMEM);
	assert_int_equal(ipcfs_quota_memory(quota, 1, 400, false), 0);
	assert_int_equal(ipcfs_quota_charge(quota, 1, 1000), 0);
	assert_int_equal(ipcfs_quota_memory(quota, 2, 1000, false), 0);
	assert_int_equal(ipcfs_quota_memory(quota, 1, 100, true), 0);
	ipcfs_quota_memory_freed(quota, 1, 100);
	assert_int_equal(ipcfs_quota_memory(quota, 1, 1, false), -ENOMEM);
	ipcfs_quota_memory_freed(quota, 1, 1000);
	ipcfs_quota_release(quota, 1, 1000);
	assert_int_equal(ipcfs_quota_memory(quota, 1, 1000, false), 0);
	ipcfs_quota_memory_freed(quota, 1, 1000);
	ipcfs_quota_memory_freed(quota, 2, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(waiters, start, end),
		cmocka_unit_test_setup_teardown(opens, start, end),
		cmocka_unit_test_setup_teardown(leases, start, end),
		cmocka_unit_test_setup_teardown(attempted_leases, start, end),
		cmocka_unit_test_setup_teardown(bytes, start, end),
		cmocka_unit_test_setup_teardown(memory, start, end),
		cmocka_unit_test_setup_teardown(one_line, start, end),
		cmocka_unit_test_setup_teardown(makes, start, end),
		cmocka_unit_test_setup_teardown(a_bucket_fills_at_its_rate, start, end),
		cmocka_unit_test_setup_teardown(rates_are_exact_in_the_long_run, start, end),
		cmocka_unit_test_setup_teardown(idle_uids_take_no_memory, start, end),
		cmocka_unit_test_setup_teardown(full_buckets_take_no_memory, start, end),
		cmocka_unit_test_setup_teardown(many_threads_may_count, start, end),
		cmocka_unit_test_setup_teardown(an_empty_bucket_stays_empty, start, end),
		cmocka_unit_test_setup_teardown(without_a_rate_buckets_take_no_memory, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
