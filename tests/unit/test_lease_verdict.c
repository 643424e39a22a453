/* SPDX-License-Identifier: MIT */
/* Texts that may be written to lease. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/queue/lease_verdict.h"

static struct ipcfs_lease_verdict found;

static int parse(const char *text)
{
	int err = ipcfs_lease_verdict_parse(text, strlen(text), &found);

	return err ? err : (int)found.verdict;
}

static void verdicts(void **state)
{
	(void)state;
	assert_int_equal(parse("done\n"), IPCFS_VERDICT_DONE);
	assert_int_equal(parse("done"), IPCFS_VERDICT_DONE);
	assert_int_equal(parse("again\n"), IPCFS_VERDICT_AGAIN);
	assert_int_equal(parse("again"), IPCFS_VERDICT_AGAIN);
	assert_string_equal(found.queue, "");
	assert_int_equal(parse("dead\n"), IPCFS_VERDICT_DEAD);
	assert_string_equal(found.queue, "");
	assert_int_equal(parse("dead"), IPCFS_VERDICT_DEAD);
}

static void paths(void **state)
{
	char text[IPCFS_VERDICT_QUEUE_SIZE + 8] = "dead ";

	(void)state;
	assert_int_equal(parse("dead posix/mq/failed\n"), IPCFS_VERDICT_DEAD);
	assert_string_equal(found.queue, "posix/mq/failed");
	assert_int_equal(parse("dead sysv/msg/0x5100"), IPCFS_VERDICT_DEAD);
	assert_string_equal(found.queue, "sysv/msg/0x5100");
	assert_int_equal(parse("dead  posix/mq/a b "), IPCFS_VERDICT_DEAD);
	assert_string_equal(found.queue, " posix/mq/a b ");
	memset(text + 5, 'q', IPCFS_VERDICT_QUEUE_SIZE - 1);
	assert_int_equal(parse(text), IPCFS_VERDICT_DEAD);
	assert_int_equal(strlen(found.queue), IPCFS_VERDICT_QUEUE_SIZE - 1);
	text[5 + IPCFS_VERDICT_QUEUE_SIZE - 1] = 'q';
	assert_int_equal(parse(text), -ENAMETOOLONG);
}

static void malformed(void **state)
{
	static const char *const texts[] = {
		"",	     "\n",	    " done",	   "done ",	 "done\n\n", "DONE",
		"don",	     "donee",	    "done\nagain", "again\n\n",	 "again q",  "done q",
		"dead ",     "dead \n",	    "dead\n\n",	   "dead q\n\n", "deadq",    "dead\tq",
		"dead q\nr", "dead q\nr\n", "no",	   "done\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(parse(texts[i]), -EINVAL);
	assert_int_equal(ipcfs_lease_verdict_parse("done\0", 5, &found), -EINVAL);
	assert_int_equal(ipcfs_lease_verdict_parse("dead q\0r", 8, &found), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(paths),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
