/* SPDX-License-Identifier: MIT */
/* Audit records: their form with any content, which are made, and how many. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/access/access.h"
#include "fs/audit/audit.h"
#include "fs/audit/audit_budget.h"
#include "fs/audit/audit_record.h"
#include "fs/audit/audit_sink.h"
#include "fs/base/counters.h"

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

/* However long ago it was counted, and however many other users come. */
static void a_count_stays_until_it_is_taken(void **state)
{
	struct ipcfs_audit_budgets *budgets = calloc(1, sizeof(*budgets));
	unsigned at = 0;
	uint64_t count;
	bool shared;
	uid_t uid;

	(void)state;
	assert_non_null(budgets);
	assert_int_equal(spend(budgets, 7, IPCFS_AUDIT_BURST + 5, 0), IPCFS_AUDIT_BURST);
	for (uid = 1000; uid < 1000 + IPCFS_AUDIT_UIDS; uid++)
		assert_int_equal(spend(budgets, uid, 1, 3600000), 1);
	assert_true(ipcfs_audit_take_count(budgets, &at, &uid, &shared, &count));
	assert_int_equal(uid, 7);
	assert_int_equal(count, 5);
	assert_false(shared);
	assert_false(ipcfs_audit_take_count(budgets, &at, &uid, &shared, &count));
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

/* A file in a directory of the test, and how many records were asked for. */
struct target {
	char directory[32], path[64];
	struct ipcfs_audit audit;
	unsigned recorded;
};

static struct target new_target(bool fifo)
{
	struct target target = { .directory = "/tmp/ipcfs-audit-XXXXXX" };

	assert_non_null(mkdtemp(target.directory));
	snprintf(target.path, sizeof(target.path), "%s/log", target.directory);
	if (fifo)
		assert_int_equal(mkfifo(target.path, 0600), 0);
	return target;
}

static void remove_target(const struct target *target)
{
	assert_int_equal(unlink(target->path), 0);
	assert_int_equal(rmdir(target->directory), 0);
}

static void record(struct target *target, uid_t uid, unsigned times)
{
	const struct ipcfs_audit_event event = { .op = IPCFS_AUDIT_OPEN,
						 .error = -EACCES,
						 .name = "a_name_of_some_length",
						 .uid = uid };

	for (unsigned i = 0; i < times; i++)
		ipcfs_audit(&target->audit, &event);
	target->recorded += times;
}

/* Adds up the records in a text, and those of which a summary tells for this reason. */
static unsigned count_records(const char *text, const char *reason, unsigned *summed)
{
	static const char number[] = "suppressed=\"";
	unsigned records = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		const char *said = strstr(line, number), *end = strchr(line, '\n');

		if (!said || said > end)
			records++;
		else if (!memcmp(end - 1 - strlen(reason), reason, strlen(reason)))
			*summed += (unsigned)atoi(said + sizeof(number) - 1);
	}
	return records;
}

/* Reads what a file has, or a FIFO has now. */
static char *read_all(int fd)
{
	static char text[2 << 20];
	size_t size = 0;
	ssize_t got;

	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)got;
	text[size] = '\0';
	return text;
}

/* More records than the buffer takes, and than one uid may cause. */
static void summaries_tell_what_was_not_written(void **state)
{
	struct target target = new_target(false);
	unsigned flood = 0, buffer = 0, records;
	const char *text;
	int fd;

	(void)state;
	assert_int_equal(ipcfs_audit_create(&target.audit, target.path, IPCFS_AUDIT_DENY), 0);
	record(&target, 1, IPCFS_AUDIT_BURST + 5000);
	for (uid_t uid = 2; uid < 6; uid++)
		record(&target, uid, IPCFS_AUDIT_BURST);
	assert_int_equal(ipcfs_audit_start(&target.audit), 0);
	fd = open(target.path, O_RDONLY | O_CLOEXEC);
	do {
		usleep(1000);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		text = read_all(fd);
	} while (!strstr(text, "reason=\"flood\""));
	ipcfs_audit_destroy(&target.audit);
	lseek(fd, 0, SEEK_SET);
	text = read_all(fd);
	records = count_records(text, "\"flood", &flood);
	(void)count_records(text, "\"buffer", &buffer);
	assert_in_range(flood, 4000, 5000); /* the budget grows meanwhile */
	assert_in_range(buffer, 1, target.recorded);
	assert_int_equal(records + flood + buffer, target.recorded);
	close(fd);
	remove_target(&target);
}

static int put(struct ipcfs_audit_sink *sink, const char *text)
{
	char record[100];

	(void)snprintf(record, sizeof(record), "%s", text);
	return ipcfs_audit_sink_put(sink, record, strlen(text), IPCFS_AUDIT_REFUSED, 0);
}

/* A record that follows one that was written in part stands on a line of its own. */
static void a_torn_record_takes_no_other_with_it(void **state)
{
	char path[] = "/tmp/ipcfs-audit-XXXXXX";
	struct rlimit before, limit;
	struct ipcfs_audit_sink sink;
	int fd = mkstemp(path);

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 9; /* "first\n" and "sec" */
	assert_int_equal(ipcfs_audit_sink_open(&sink, path), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(put(&sink, "first"), 0);
	assert_int_equal(put(&sink, "second"), -ENOSPC);
	assert_int_equal(put(&sink, "third"), -EFBIG);
	limit.rlim_cur++; /* and the newline */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(put(&sink, "fourth"), -ENOSPC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(put(&sink, "fifth"), 0);
	assert_string_equal(read_all(fd), "first\nsec\nfifth\n");
	ipcfs_audit_sink_close(&sink);
	(void)close(fd);
	(void)unlink(path);
}

static int note_target(void *arg, const char *word, uint64_t count)
{
	if (!strcmp(word, "target"))
		*(uint64_t *)arg = count;
	return 0;
}

/* Ends the audit. Returns how many records were lost, as the log tells. */
static unsigned lost_at_the_end(struct ipcfs_audit *audit)
{
	int log[2], saved = dup(STDERR_FILENO);
	const char *text, *told;

	assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(log[1], STDERR_FILENO);
	ipcfs_audit_destroy(audit);
	dup2(saved, STDERR_FILENO);
	text = read_all(log[0]);
	told = strstr(text, ": audit: ");
	told = told ? strstr(told + 9, ": ") : NULL;
	close(log[0]), close(log[1]), close(saved);
	assert_non_null(told);
	return (unsigned)atoi(told + 2);
}

/* The target is a FIFO that is full, and that nobody empties. */
static void a_summary_that_is_lost_is_counted(void **state)
{
	struct target target = new_target(true);
	int fd = open(target.path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	uint64_t noted = 0;

	(void)state;
	while (write(fd, "x", 1) == 1)
		;
	assert_int_equal(ipcfs_audit_create(&target.audit, target.path, IPCFS_AUDIT_DENY), 0);
	record(&target, 1, IPCFS_AUDIT_BURST + 500);
	assert_int_equal(ipcfs_audit_start(&target.audit), 0);
	while (!noted) {
		usleep(1000);
		(void)ipcfs_counters_each(IPCFS_COUNTED_LOST, note_target, &noted);
	}
	assert_int_equal(lost_at_the_end(&target.audit), target.recorded);
	close(fd);
	remove_target(&target);
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
		cmocka_unit_test(a_count_stays_until_it_is_taken),
		cmocka_unit_test(targets_are_checked),
		cmocka_unit_test(summaries_tell_what_was_not_written),
		cmocka_unit_test(a_torn_record_takes_no_other_with_it),
		cmocka_unit_test(a_summary_that_is_lost_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
