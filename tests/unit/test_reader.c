/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/queue/reader.h"

#define NOBODY 0x7ffffff0 /* no process has this id */

static int begin(void **state)
{
	static struct ipcfs_file file;

	file = (struct ipcfs_file){ .key.kind = IPCFS_NODE_MSG };
	pthread_mutex_init(&file.lock, NULL);
	*state = &file;
	return 0;
}

static int end(void **state)
{
	struct ipcfs_file *file = *state;

	ipcfs_text_free(&file->queue.readers);
	pthread_mutex_destroy(&file->lock);
	return 0;
}

static void a_reader_has_ended_when_nothing_is_left(void **state)
{
	struct ipcfs_file *file = *state;

	file->queue.message = 1;
	file->queue.eof_next = true;
	assert_int_equal(ipcfs_reader_note(file, 7, getpid()), 0);
	assert_false(ipcfs_reader_has_ended(file, 7, getpid()));
	file->queue.eof_next = false;
	assert_true(ipcfs_reader_has_ended(file, 7, getpid()));
	assert_true(ipcfs_reader_polls_end(file, getpid()));
	assert_false(ipcfs_reader_has_ended(file, 8, getpid()));
	/* The rest of another message is not for this reader. */
	file->queue.message = 2;
	file->queue.eof_next = true;
	assert_true(ipcfs_reader_has_ended(file, 7, getpid()));
	ipcfs_reader_forget(file, 7);
	assert_false(ipcfs_reader_has_ended(file, 7, getpid()));
	assert_false(ipcfs_reader_polls_end(file, getpid()));
}

static void an_owner_of_another_process_is_new(void **state)
{
	struct ipcfs_file *file = *state;

	assert_int_equal(ipcfs_reader_note(file, 7, NOBODY), 0);
	assert_false(ipcfs_reader_has_ended(file, 7, getpid()));
	assert_int_equal(ipcfs_reader_note(file, 7, getpid()), 0);
	assert_true(ipcfs_reader_has_ended(file, 7, getpid()));
	assert_false(ipcfs_reader_has_ended(file, 7, NOBODY));
}

static void the_first_of_too_many_is_forgotten(void **state)
{
	struct ipcfs_file *file = *state;

	for (uint64_t owner = 0; owner <= IPCFS_READERS_MAX; owner++)
		assert_int_equal(ipcfs_reader_note(file, owner, getpid()), 0);
	assert_false(ipcfs_reader_has_ended(file, 0, getpid()));
	for (uint64_t owner = 1; owner <= IPCFS_READERS_MAX; owner++)
		assert_true(ipcfs_reader_has_ended(file, owner, getpid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reader_has_ended_when_nothing_is_left, begin,
						end),
		cmocka_unit_test_setup_teardown(an_owner_of_another_process_is_new, begin, end),
		cmocka_unit_test_setup_teardown(the_first_of_too_many_is_forgotten, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
