/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/fuse.h>

#include "fs/base/counters.h"
#include "fs/control/metrics_text.h"
#include "fs/tree/node.h"

/* Returns the text of these numbers, to be freed. */
static char *text_of(const struct ipcfs_metrics *metrics)
{
	struct ipcfs_text out = { 0 };

	assert_int_equal(ipcfs_metrics_text(metrics, &out), 0);
	assert_int_equal(ipcfs_text_add(&out, "", 1), 0);
	return out.data;
}

/* Asserts whether the text has this line. */
static void has(const char *text, const char *line, bool wanted)
{
	char *whole;

	assert_true(asprintf(&whole, "\n%s\n", line) > 0);
	if ((strstr(text, whole) != NULL) != wanted)
		fail_msg("%s: %s", wanted ? "missing" : "there", line);
	free(whole);
}

static void sums_of_a_class_have_its_samples(void **state)
{
	static struct ipcfs_sums sums;
	struct ipcfs_metrics metrics = { .whole = true, .home = true, .sums = &sums };
	char *text;

	(void)state;
	for (uint32_t i = 1; ipcfs_class_at(i); i++) {
		sums.classes[i] = (struct ipcfs_class_sums){
			.objects = 10 * i + 1,
			.withheld = 10 * i + 2,
			.messages = 10 * i + 3,
			.bytes = 10 * i + 4,
			.full = 10 * i + 5,
			.memory = 10 * i + 6,
			.stale = 10 * i + 7,
			.leases = 3000 + i,
			.semaphores = 10 * i + 8,
			.holds = 10 * i + 9,
			.removed = 1000 + i,
			.waiting = { 101, 102, 103, 104, 105 },
		};
		metrics.moves[i][IPCFS_MOVE_RECEIVED] = 2000 + i;
	}
	metrics.limited[4] = true;
	metrics.limits[4] = UINT64_MAX;
	text = text_of(&metrics);
	has(text, "ipcfs_objects{class=\"posix/mq\"} 11", true);
	has(text, "ipcfs_objects{class=\"sysv/sem\"} 61", true);
	has(text, "ipcfs_objects_withheld{class=\"posix/sem\"} 32", true);
	has(text, "ipcfs_objects_withheld{class=\"posix/shm\"} 22", false);
	has(text, "ipcfs_objects_limit{class=\"sysv/msg\"} 18446744073709551615", true);
	has(text, "ipcfs_objects_limit{class=\"posix/mq\"} 0", false);
	has(text, "ipcfs_queue_messages{class=\"sysv/msg\"} 43", true);
	has(text, "ipcfs_queue_messages{class=\"sysv/sem\"} 63", false);
	has(text, "ipcfs_queue_bytes{class=\"posix/mq\"} 14", true);
	has(text, "ipcfs_queues_full{class=\"posix/mq\"} 15", true);
	has(text, "ipcfs_leases{class=\"sysv/msg\"} 3004", true);
	has(text, "ipcfs_leases{class=\"posix/shm\"} 3002", false);
	has(text, "ipcfs_segment_bytes{class=\"posix/shm\"} 24", true);
	has(text, "ipcfs_segment_memory_bytes{class=\"sysv/shm\"} 56", true);
	has(text, "ipcfs_segments_stale{class=\"sysv/shm\"} 57", true);
	has(text, "ipcfs_segments_removed{class=\"sysv/shm\"} 1005", true);
	has(text, "ipcfs_segments_removed{class=\"posix/shm\"} 1002", false);
	has(text, "ipcfs_semaphores{class=\"posix/sem\"} 38", true);
	has(text, "ipcfs_semaphore_holds{class=\"sysv/sem\"} 69", true);
	has(text, "ipcfs_waiting_requests{class=\"posix/mq\",for=\"receive\"} 101", true);
	has(text, "ipcfs_waiting_requests{class=\"sysv/msg\",for=\"send\"} 102", true);
	has(text, "ipcfs_waiting_requests{class=\"sysv/sem\",for=\"wait\"} 101", true);
	has(text, "ipcfs_waiting_requests{class=\"sysv/sem\",for=\"op\"} 105", true);
	has(text, "ipcfs_waiting_requests{class=\"posix/sem\",for=\"op\"} 105", false);
	has(text, "ipcfs_messages_received_total{class=\"posix/mq\"} 2001", true);
	has(text, "# TYPE ipcfs_messages_received_total counter", true);
	free(text);
}

static void times_have_milliseconds(void **state)
{
	static const struct ipcfs_sums sums;
	const struct ipcfs_metrics metrics = {
		.home = true,
		.sums = &sums,
		.cpu = { 1, 2000000 },
		.started = { 1795921504, 999999999 },
		.resident = 4096,
	};
	char *text = text_of(&metrics);

	(void)state;
	has(text, "ipcfs_daemon_cpu_seconds_total 1.002", true);
	has(text, "ipcfs_daemon_start_time_seconds 1795921504.999", true);
	has(text, "ipcfs_daemon_resident_memory_bytes 4096", true);
	free(text);
}

static void each_opener_is_told_its_families(void **state)
{
	static const struct ipcfs_sums sums;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct ipcfs_metrics metrics = { .whole = i & 1,
						       .home = i & 2,
						       .sums = &sums };
		char *text = text_of(&metrics);

		has(text, "ipcfs_objects{class=\"posix/mq\"} 0", true);
		has(text, "ipcfs_segment_memory_bytes{class=\"posix/shm\"} 0", true);
		has(text, "ipcfs_segment_memory_bytes{class=\"sysv/shm\"} 0", metrics.whole);
		has(text, "ipcfs_messages_sent_total{class=\"posix/mq\"} 0", metrics.whole);
		has(text, "ipcfs_daemon_resident_memory_bytes 0", metrics.home);
		has(text, "ipcfs_daemon_namespaces 0", metrics.home && metrics.whole);
		has(text, "# TYPE ipcfs_daemon_errors_total counter",
		    metrics.home && metrics.whole);
		assert_true(metrics.home || !strstr(text, "ipcfs_daemon_"));
		free(text);
	}
}

/* A word, and how often it was counted. */
struct counted {
	const char *word;
	uint64_t count;
	bool found;
};

static int find_word(void *arg, const char *word, uint64_t count)
{
	struct counted *counted = arg;

	if (strcmp(word, counted->word) != 0)
		return 0;
	counted->count = count;
	counted->found = true;
	return 1;
}

/* Asserts that this word was counted so often; 0: that it is told without having occurred. */
static void counted(enum ipcfs_counted what, const char *word, uint64_t count)
{
	struct counted counted = { .word = word };

	assert_int_equal(ipcfs_counters_each(what, find_word, &counted), 1);
	assert_true(counted.found);
	assert_int_equal(counted.count, count);
}

static void counters_grow_by_one(void **state)
{
	struct counted never = { .word = "ENOENT" };

	(void)state;
	ipcfs_count_request(FUSE_LOOKUP);
	ipcfs_count_request(FUSE_LOOKUP);
	ipcfs_count_request(FUSE_IOCTL);
	ipcfs_count_request(0);
	ipcfs_count_request(UINT32_MAX);
	counted(IPCFS_COUNTED_REQUESTS, "lookup", 2);
	counted(IPCFS_COUNTED_REQUESTS, "other", 3);
	counted(IPCFS_COUNTED_REQUESTS, "mkdir", 0);

	assert_int_equal(ipcfs_counters_each(IPCFS_COUNTED_ERRORS, find_word, &never), 0);
	ipcfs_count_error(0);
	ipcfs_count_error(-ENOENT);
	ipcfs_count_error(-ENOTBLK);
	ipcfs_count_error(-100000);
	ipcfs_count_error(1);
	counted(IPCFS_COUNTED_ERRORS, "ENOENT", 1);
	counted(IPCFS_COUNTED_ERRORS, "other", 3);

	ipcfs_count_denied("owner");
	ipcfs_count_denied("named user");
	ipcfs_count_denied("a new rule");
	ipcfs_count_denied(NULL);
	counted(IPCFS_COUNTED_DENIED, "owner", 1);
	counted(IPCFS_COUNTED_DENIED, "named user", 1);
	counted(IPCFS_COUNTED_DENIED, "unknown", 2);
	counted(IPCFS_COUNTED_DENIED, "rate", 0);

	ipcfs_count_lost("buffer");
	counted(IPCFS_COUNTED_LOST, "buffer", 1);
	counted(IPCFS_COUNTED_LOST, "flood", 0);
	assert_string_equal(ipcfs_counters_label(IPCFS_COUNTED_ERRORS), "errno");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_of_a_class_have_its_samples),
		cmocka_unit_test(times_have_milliseconds),
		cmocka_unit_test(each_opener_is_told_its_families),
		cmocka_unit_test(counters_grow_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
