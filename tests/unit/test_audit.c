/* SPDX-License-Identifier: MIT */
/* Audit records: their form with any content, which are made, and how many. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/access/access.h"
#include "fs/audit/audit_budget.h"
#include "fs/audit/audit_record.h"
#include "fs/audit/audit_sink.h"

static const struct timespec when = { .tv_sec = 1700000000, .tv_nsec = 7999999 };

static void looks_as_documented(void **state)
{
	const struct ipcfs_audit_program program = { .pid = 4711, .name = "cat" };
	const struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_OPEN,
		.want = IPCFS_WANT_READ | IPCFS_WANT_WRITE,
		.error = -EACCES,
		.reason = "other",
		.family = "posix",
		.class_name = "mq",
		.name = "jobs",
		.file = "msg",
		.uid = 1234,
		.gid = 4294967294,
		.tid = 4712,
	};
	char record[IPCFS_AUDIT_RECORD_MAX];
	size_t size = ipcfs_audit_format(record, &event, &program, &when);

	(void)state;
	assert_string_equal(
		record,
		"time=\"2023-11-14T22:13:20.007Z\" op=\"open\" object=\"posix/mq/jobs\" file=\"msg\" "
		"want=\"read,write\" uid=\"1234\" gid=\"4294967294\" pid=\"4711\" program=\"cat\" "
		"verdict=\"deny\" reason=\"other\" error=\"EACCES\" detail=\"\"");
	assert_int_equal(size, strlen(record));
}

static void what_is_missing_is_empty(void **state)
{
	const struct ipcfs_audit_program program = { 0 };
	const struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_LIMIT, .family = "limits", .name = "msgmax", .detail = "8192"
	};
	char record[IPCFS_AUDIT_RECORD_MAX];

	(void)state;
	ipcfs_audit_format(record, &event, &program, &when);
	assert_string_equal(
		record, "time=\"2023-11-14T22:13:20.007Z\" op=\"limit\" object=\"limits/msgmax\" "
			"file=\"\" want=\"\" uid=\"0\" gid=\"0\" pid=\"0\" program=\"\" "
			"verdict=\"allow\" reason=\"\" error=\"\" detail=\"8192\"");
}

static void summaries_look_as_documented(void **state)
{
	char record[IPCFS_AUDIT_RECORD_MAX];

	(void)state;
	ipcfs_audit_format_summary(record, "1234", 57, "flood", &when);
	assert_string_equal(record, "time=\"2023-11-14T22:13:20.007Z\" op=\"summary\" "
				    "uid=\"1234\" suppressed=\"57\" reason=\"flood\"");
	ipcfs_audit_format_summary(record, NULL, 1, "target", &when);
	assert_string_equal(record, "time=\"2023-11-14T22:13:20.007Z\" op=\"summary\" "
				    "uid=\"\" suppressed=\"1\" reason=\"target\"");
}

/* Every byte that a name can have, in every field: the quotes stay in their places. */
static void no_name_forges(void **state)
{
	char name[256], record[IPCFS_AUDIT_RECORD_MAX], expected[16];
	struct ipcfs_audit_program program = { .pid = 1 };
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_REMOVE, .family = "posix", .class_name = "mq", .name = name
	};

	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		bool plain = byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
		unsigned quotes = 0;

		snprintf(name, sizeof(name), "a%cb", byte);
		memcpy(program.name, name, 4);
		ipcfs_audit_format(record, &event, &program, &when);
		snprintf(expected, sizeof(expected), plain ? "a%cb\"" : "a\\%03ob\"", byte);
		assert_non_null(strstr(record, expected));
		assert_non_null(strstr(strstr(record, expected) + 1, expected));
		for (const char *at = record; *at; at++) {
			assert_in_range(*at, ' ', '~');
			quotes += *at == '"';
		}
		assert_int_equal(quotes, 2 * 13);
	}
}

static void the_longest_fits(void **state)
{
	char name[256], file[256], record[IPCFS_AUDIT_RECORD_MAX];
	struct ipcfs_audit_program program = { .pid = 2147483647 };
	struct ipcfs_audit_event event = {
		.op = IPCFS_AUDIT_SETFACL,
		.want = IPCFS_WANT_READ | IPCFS_WANT_WRITE,
		.error = -EACCES,
		.reason = "named group",
		.family = "posix",
		.class_name = "shm",
		.name = name,
		.file = file,
		.detail = file,
		.uid = 4294967295,
		.gid = 4294967295,
	};

	(void)state;
	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memcpy(file, name, sizeof(name));
	memset(program.name, '\n', sizeof(program.name) - 1);
	assert_in_range(ipcfs_audit_format(record, &event, &program, &when), 1,
			IPCFS_AUDIT_RECORD_MAX - 1);
	assert_string_equal(record + strlen(record) - 5, "\\012\"");
	assert_non_null(strstr(record, " verdict=\"deny\" reason=\"named group\" "));
}

static void levels_say_what_is_recorded(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_audit_level("deny"), IPCFS_AUDIT_DENY);
	assert_int_equal(ipcfs_audit_level("change"), IPCFS_AUDIT_CHANGE);
	assert_int_equal(ipcfs_audit_level("all"), IPCFS_AUDIT_ALL);
	assert_int_equal(ipcfs_audit_level("none"), IPCFS_AUDIT_OFF);
	assert_int_equal(ipcfs_audit_level(""), IPCFS_AUDIT_OFF);

	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_OFF, IPCFS_AUDIT_OPEN, -EACCES));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_DENY, IPCFS_AUDIT_OPEN, -EACCES));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_DENY, IPCFS_AUDIT_REMOVE, -EPERM));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_DENY, IPCFS_AUDIT_MAKE, -ENOSPC));
	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_DENY, IPCFS_AUDIT_MAKE, 0));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_CHANGE, IPCFS_AUDIT_MAKE, 0));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_CHANGE, IPCFS_AUDIT_LIMIT, 0));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_CHANGE, IPCFS_AUDIT_ACCESS, -EACCES));
	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_CHANGE, IPCFS_AUDIT_ACCESS, 0));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_ALL, IPCFS_AUDIT_ACCESS, 0));
	assert_true(ipcfs_audit_wanted(IPCFS_AUDIT_ALL, IPCFS_AUDIT_CHMOD, 0));
	/* no decision */
	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_ALL, IPCFS_AUDIT_OPEN, -ENOENT));
	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_ALL, IPCFS_AUDIT_MAKE, -EEXIST));
	assert_false(ipcfs_audit_wanted(IPCFS_AUDIT_ALL, IPCFS_AUDIT_MAKE, -ENOMEM));
}

static unsigned spend(struct ipcfs_audit_budgets *budgets, uid_t uid, unsigned times, uint64_t now)
{
	unsigned got = 0;

	while (times--)
		got += ipcfs_audit_spend(budgets, uid, now);
	return got;
}

static void a_flood_is_counted(void **state)
{
	struct ipcfs_audit_budgets *budgets = calloc(1, sizeof(*budgets));
	uint64_t count;
	unsigned at = 0;
	bool shared;
	uid_t uid;

	(void)state;
	assert_non_null(budgets);
	assert_int_equal(spend(budgets, 7, 5000, 1000000), IPCFS_AUDIT_BURST);
	assert_int_equal(spend(budgets, 8, 10, 1000000), 10); /* other users lose nothing */
	assert_true(budgets->any_suppressed);
	assert_true(ipcfs_audit_take_count(budgets, &at, &uid, &shared, &count));
	assert_int_equal(uid, 7);
	assert_int_equal(count, 5000 - IPCFS_AUDIT_BURST);
	assert_false(shared);
	assert_false(ipcfs_audit_take_count(budgets, &at, &uid, &shared, &count));
	assert_false(budgets->any_suppressed);
	/* after some time */
	assert_int_equal(spend(budgets, 7, 5000, 1000500), IPCFS_AUDIT_RATE / 2);
	assert_int_equal(spend(budgets, 7, 5000, 1001500), IPCFS_AUDIT_RATE);
	assert_int_equal(spend(budgets, 7, 5000, 9000000), IPCFS_AUDIT_BURST);
	assert_int_equal(spend(budgets, 7, 5000, 8000000), 0);
	free(budgets);
}

static void many_users_share(void **state)
{
	struct ipcfs_audit_budgets *budgets = calloc(1, sizeof(*budgets));
	unsigned at = 0, got = 0, others = 0;
	uint64_t count, counted = 0;
	bool shared;
	uid_t uid;

	(void)state;
	assert_non_null(budgets);
	for (uid = 0; uid < 2 * IPCFS_AUDIT_UIDS; uid++)
		got += spend(budgets, uid, IPCFS_AUDIT_BURST + 1, 5);
	while (ipcfs_audit_take_count(budgets, &at, &uid, &shared, &count)) {
		counted += count;
		others += shared;
	}
	assert_int_equal(got, (IPCFS_AUDIT_UIDS + 1) * IPCFS_AUDIT_BURST);
	assert_int_equal(others, 1);
	assert_int_equal(got + counted, 2 * IPCFS_AUDIT_UIDS * (IPCFS_AUDIT_BURST + 1));
	/* an entry that is not needed any more is given to another user */
	assert_int_equal(spend(budgets, 100000, IPCFS_AUDIT_BURST, 3600000), IPCFS_AUDIT_BURST);
	assert_int_equal(spend(budgets, 100001, IPCFS_AUDIT_BURST, 3600000), IPCFS_AUDIT_BURST);
	free(budgets);
}

static void targets_are_checked(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_audit_sink_check("syslog"), 0);
	assert_int_equal(ipcfs_audit_sink_check("journal"), 0);
	assert_int_equal(ipcfs_audit_sink_check("/var/log/ipcfs"), 0);
	assert_int_equal(ipcfs_audit_sink_check(""), -EINVAL);
	assert_int_equal(ipcfs_audit_sink_check("file"), -EINVAL);
	assert_int_equal(ipcfs_audit_sink_check("./file"), -EINVAL);
	assert_int_equal(ipcfs_audit_sink_check("/var/log/"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_as_documented),
		cmocka_unit_test(what_is_missing_is_empty),
		cmocka_unit_test(summaries_look_as_documented),
		cmocka_unit_test(no_name_forges),
		cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(levels_say_what_is_recorded),
		cmocka_unit_test(a_flood_is_counted),
		cmocka_unit_test(many_users_share),
		cmocka_unit_test(targets_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
