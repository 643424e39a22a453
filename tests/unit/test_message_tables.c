/* SPDX-License-Identifier: MIT */
/* Places of kept messages, and numbers of descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/space/message_numbers.h"
#include "backends/space/message_places.h"
#include "backends/space/message_sender.h"

#define FIRST IPCFS_MESSAGE_SENDER_FIRST

static void a_place_that_is_free_is_used_again(void **state)
{
	struct ipcfs_message_places places = IPCFS_MESSAGE_PLACES_NONE;
	uint32_t place;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(ipcfs_message_place_new(&places, false, &place), 0);
		assert_int_equal(place, i);
	}
	ipcfs_message_place_free(&places, 7);
	ipcfs_message_place_free(&places, 9);
	assert_int_equal(ipcfs_message_place_new(&places, true, &place), 0);
	assert_int_equal(place, 1000);
	assert_int_equal(ipcfs_message_place_new(&places, false, &place), 0);
	assert_int_equal(place, 9);
	ipcfs_message_places_free(&places);
	assert_int_equal(ipcfs_message_place_new(&places, false, &place), 0);
	assert_int_equal(place, 0);
	ipcfs_message_places_free(&places);
}

static void a_number_is_that_of_one_message_in_its_place(void **state)
{
	struct ipcfs_message_places places = IPCFS_MESSAGE_PLACES_NONE;
	uint64_t first = ipcfs_message_place_number(0, 1),
		 second = ipcfs_message_place_number(0, 2);
	uint32_t place;

	(void)state;
	assert_true(first && second && first != second);
	assert_int_equal(ipcfs_message_place_of(second), 0);
	assert_int_equal(ipcfs_message_place_of(ipcfs_message_place_number(12345, 99)), 12345);
	assert_false(ipcfs_message_place_has(&places, first));
	assert_int_equal(ipcfs_message_place_new(&places, false, &place), 0);
	places.all[0].number = second;
	assert_false(ipcfs_message_place_has(&places, first));
	assert_true(ipcfs_message_place_has(&places, second));
	ipcfs_message_places_free(&places);
}

static void a_message_that_was_left_is_found_by_its_owner(void **state)
{
	struct ipcfs_message_places places = IPCFS_MESSAGE_PLACES_NONE;
	uint32_t place;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipcfs_message_place_new(&places, false, &place), 0);
	places.all[1].owner = places.all[2].owner = 5;
	places.all[2].left = true;
	places.left = 1;
	assert_int_equal(ipcfs_message_place_find(&places, 5), 2);
	assert_int_equal(ipcfs_message_place_find(&places, 6), IPCFS_MESSAGE_NO_PLACE);
	assert_int_equal(ipcfs_message_place_find(&places, 0), IPCFS_MESSAGE_NO_PLACE);
	ipcfs_message_places_free(&places);
}

static void handles_have_numbers_of_their_own(void **state)
{
	struct ipcfs_message_numbers numbers = { 0 };
	int number;

	(void)state;
	assert_int_equal(ipcfs_message_number_of(&numbers, 100), 0);
	assert_int_equal(ipcfs_message_number_new(&numbers, 100, &number), 0);
	assert_int_equal(number, FIRST);
	assert_int_equal(ipcfs_message_number_new(&numbers, 7, &number), 0);
	assert_int_equal(number, FIRST + 1);
	assert_int_equal(ipcfs_message_number_of(&numbers, 100), FIRST);
	assert_int_equal(ipcfs_message_number_at(&numbers, FIRST + 1)->handle, 7);
	ipcfs_message_number_free(&numbers, FIRST);
	assert_int_equal(ipcfs_message_number_of(&numbers, 100), 0);
	assert_int_equal(ipcfs_message_number_new(&numbers, 3, &number), 0);
	assert_int_equal(number, FIRST);
	ipcfs_message_numbers_free(&numbers);
}

static void a_number_that_was_left_gets_the_handle_of_the_next_worker(void **state)
{
	struct ipcfs_message_numbers numbers = { 0 };
	int number;

	(void)state;
	assert_int_equal(ipcfs_message_number_left(&numbers, FIRST), 0);
	assert_int_equal(ipcfs_message_number_left(&numbers, FIRST + 2), 0);
	assert_int_equal(ipcfs_message_number_at(&numbers, FIRST)->handle, -1);
	/* another queue, whose handle has the number that the worker before has given away */
	assert_int_equal(ipcfs_message_number_new(&numbers, FIRST, &number), 0);
	assert_int_equal(number, FIRST + 1);
	assert_int_equal(ipcfs_message_number_attach(&numbers, FIRST, 50), 0);
	assert_int_equal(ipcfs_message_number_of(&numbers, 50), FIRST);
	/* neither has another one then */
	assert_int_equal(ipcfs_message_number_attach(&numbers, FIRST, 51), 0);
	assert_int_equal(ipcfs_message_number_of(&numbers, 51), 0);
	assert_int_equal(ipcfs_message_number_attach(&numbers, FIRST + 2, 50), 0);
	assert_int_equal(ipcfs_message_number_at(&numbers, FIRST + 2)->handle, -1);
	ipcfs_message_numbers_free(&numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_that_is_free_is_used_again),
		cmocka_unit_test(a_number_is_that_of_one_message_in_its_place),
		cmocka_unit_test(a_message_that_was_left_is_found_by_its_owner),
		cmocka_unit_test(handles_have_numbers_of_their_own),
		cmocka_unit_test(a_number_that_was_left_gets_the_handle_of_the_next_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
