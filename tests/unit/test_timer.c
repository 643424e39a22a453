/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs/base/clock.h"
#include "fs/base/timer.h"

#define MS 1000000ULL
#define MANY 1000

/*
 * Stops all timers, the first one first, and asserts that no deadline comes before an earlier one.
 */
static void stop_all(struct ipcfs_timers *timers, size_t count)
{
	uint64_t before = 0;
	struct ipcfs_timer *first;

	for (; (first = ipcfs_timer_first(timers)); count--) {
		assert_true(first->deadline >= before);
		before = first->deadline;
		ipcfs_timer_stop(timers, first);
		assert_int_equal(first->place, 0);
	}
	assert_int_equal(count, 0);
	ipcfs_timers_free(timers);
}

static void the_first_deadline_is_first(void **state)
{
	static struct ipcfs_timer timer[MANY];
	struct ipcfs_timers timers = { 0 };

	(void)state;
	srandom(1);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(ipcfs_timer_set(&timers, &timer[i], 1 + (uint64_t)random() % MANY),
				 0);
	stop_all(&timers, MANY);
}

static void stopped_timers_are_gone(void **state)
{
	static struct ipcfs_timer timer[MANY];
	struct ipcfs_timers timers = { 0 };
	size_t left = 0;

	(void)state;
	srandom(2);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(ipcfs_timer_set(&timers, &timer[i], 1 + (uint64_t)random() % MANY),
				 0);
	for (size_t i = 0; i < MANY; i++)
		if (random() % 2)
			ipcfs_timer_stop(&timers, &timer[i]);
	for (size_t i = 0; i < MANY; i++) {
		bool set = timer[i].place != 0;

		left += set;
		if (!set)
			ipcfs_timer_stop(&timers, &timer[i]);
	}
	assert_int_equal(ipcfs_timer_set(&timers, &timer[0], 0), 0);
	stop_all(&timers, left);
}

static void the_time_is_rounded_up(void **state)
{
	struct ipcfs_timers timers = { 0 };
	struct ipcfs_timer timer = { 0 };

	(void)state;
	assert_int_equal(ipcfs_timer_next(&timers), -1);
	assert_int_equal(ipcfs_timer_set(&timers, &timer, ipcfs_clock_ns() - 1), 0);
	assert_int_equal(ipcfs_timer_next(&timers), 0);
	timer.deadline = ipcfs_clock_ns() + 10000 * MS;
	assert_in_range(ipcfs_timer_next(&timers), 9000, 10000);
	timer.deadline = ipcfs_clock_ns() + MS / 2;
	assert_in_range(ipcfs_timer_next(&timers), 0, 1);
	timer.deadline = UINT64_MAX;
	assert_int_equal(ipcfs_timer_next(&timers), INT_MAX);
	ipcfs_timers_free(&timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_deadline_is_first),
		cmocka_unit_test(stopped_timers_are_gone),
		cmocka_unit_test(the_time_is_rounded_up),
	};

	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
