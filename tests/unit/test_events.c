/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/contract/classes.h"
#include "fs/events/known.h"
#include "fs/events/known_record.h"
#include "fs/events/ring.h"

/* Adds `count` events, of which each has its number as the count. */
static void fill(struct ipcfs_ring *ring, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct ipcfs_event event = { .kind = IPCFS_EVENT_CREATED, .count = ring->next };

		ipcfs_ring_add(ring, &event);
	}
}

static void each_reader_has_its_own_place(void **state)
{
	struct ipcfs_ring ring;
	struct ipcfs_event event;

	(void)state;
	assert_int_equal(ipcfs_ring_init(&ring), 0);
	assert_int_equal(ipcfs_ring_read(&ring, 1, &event), 0);
	fill(&ring, 3);
	for (uint64_t number = 1; number <= 3; number++) {
		assert_int_equal(ipcfs_ring_read(&ring, number, &event), 1);
		assert_int_equal(event.count, number);
	}
	assert_int_equal(ipcfs_ring_read(&ring, 4, &event), 0);
	assert_int_equal(ipcfs_ring_read(&ring, 1, &event), 1); /* reading takes nothing */
	ipcfs_ring_free(&ring);
}

static void what_a_reader_is_too_late_for_is_counted(void **state)
{
	struct ipcfs_ring ring;
	struct ipcfs_event event;

	(void)state;
	assert_int_equal(ipcfs_ring_init(&ring), 0);
	fill(&ring, IPCFS_RING_EVENTS);
	assert_int_equal(ipcfs_ring_read(&ring, 1, &event), 1);
	assert_int_equal(event.kind, IPCFS_EVENT_CREATED);
	fill(&ring, 5);
	assert_int_equal(ipcfs_ring_read(&ring, 1, &event), 5);
	assert_int_equal(event.kind, IPCFS_EVENT_LOST);
	assert_int_equal(event.count, 5);
	assert_int_equal(ipcfs_ring_read(&ring, 6, &event), 1);
	assert_int_equal(event.count, 6);
	fill(&ring, 3 * IPCFS_RING_EVENTS);
	assert_int_equal(ipcfs_ring_read(&ring, 7, &event), 3 * IPCFS_RING_EVENTS - 1);
	ipcfs_ring_free(&ring);
}

/* What was found, as "created 0x1 changed 0x2:mode". */
static char found[1024];

static void note(void *arg, enum ipcfs_event_kind kind, const struct ipcfs_class *class,
		 const struct ipcfs_info *info, const char *detail)
{
	(void)arg;
	(void)class;
	snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s %s%s%s",
		 *found ? " " : "", ipcfs_event_word(kind), info->ref.name, *detail ? ":" : "",
		 detail);
}

static const struct ipcfs_finding finding = { .found = note };

static struct ipcfs_info object(const char *name, uint64_t serial)
{
	struct ipcfs_info info = {
		.ref = { .serial = serial, .key = 7 },
		.perm = { .mode = 0600 },
		.max_bytes = 100,
		.messages = 1,
		.size = 10,
	};

	snprintf(info.ref.name, sizeof(info.ref.name), "%s", name);
	return info;
}

/* Looks at these objects of a class and asserts what is found. */
static void look_at(struct ipcfs_known *known, const struct ipcfs_class *class,
		    const struct ipcfs_info *infos, size_t count, const char *expected)
{
	*found = '\0';
	ipcfs_known_begin(known);
	for (size_t i = 0; i < count; i++)
		ipcfs_known_see(known, class, &infos[i], &finding);
	ipcfs_known_sweep(known, class, &finding);
	ipcfs_known_end(known);
	assert_string_equal(found, expected);
}

static void look(struct ipcfs_known *known, const struct ipcfs_info *infos, size_t count,
		 const char *expected)
{
	look_at(known, &ipcfs_sysv_msg, infos, count, expected);
}

static void looks_find_what_direct_callers_did(void **state)
{
	struct ipcfs_known known = { 0 };
	struct ipcfs_info infos[] = { object("0x1", 1), object("0x2", 2) };

	(void)state;
	look(&known, infos, 1, "");
	look(&known, infos, 2, "created 0x2");
	infos[0].perm.mode = 0640;
	infos[1].perm.uid = 5;
	look(&known, infos, 2, "changed 0x1:mode changed 0x2:owner");
	infos[0].max_bytes = 200;
	look(&known, infos, 2, "changed 0x1:qbytes");
	infos[0].size = 200;
	infos[1].messages = 0;
	look(&known, infos, 2, "full 0x1 empty 0x2");
	look(&known, infos, 2, "");
	infos[1].ref.serial = 3; /* removed, and made again */
	look(&known, infos, 2, "removed 0x2 created 0x2");
	look(&known, infos, 0, "removed 0x1 removed 0x2");
	ipcfs_known_free(&known);
}

static void looks_say_nothing_of_what_the_mount_did(void **state)
{
	struct ipcfs_known known = { 0 };
	struct ipcfs_info infos[] = { object("0x1", 1), object("0x2", 2) };

	(void)state;
	look(&known, infos, 1, "");
	assert_true(ipcfs_known_created(&known, &ipcfs_sysv_msg, &infos[1], &finding));
	look(&known, infos, 2, "");
	infos[1].perm.mode = 0640;
	ipcfs_known_changed(&known, &ipcfs_sysv_msg, &infos[1].ref);
	look(&known, infos, 2, "");
	infos[1].perm.mode = 0644;
	look(&known, infos, 2, "changed 0x2:mode");
	assert_true(ipcfs_known_removed(&known, &ipcfs_sysv_msg, &infos[1], &finding));
	look(&known, infos, 1, "");
	assert_false(ipcfs_known_removed(&known, &ipcfs_sysv_msg, &infos[1], &finding));
	assert_false(ipcfs_known_created(&known, &ipcfs_sysv_msg, &infos[0], &finding));
	ipcfs_known_free(&known);
}

static void a_look_is_older_than_what_the_mount_did_meanwhile(void **state)
{
	struct ipcfs_known known = { 0 };
	struct ipcfs_info infos[] = { object("0x1", 1), object("0x2", 2) };

	(void)state;
	look(&known, infos, 1, "");
	*found = '\0';
	ipcfs_known_begin(&known);
	assert_true(ipcfs_known_removed(&known, &ipcfs_sysv_msg, &infos[0], &finding));
	assert_true(ipcfs_known_created(&known, &ipcfs_sysv_msg, &infos[1], &finding));
	ipcfs_known_see(&known, &ipcfs_sysv_msg, &infos[0], &finding); /* as it was before */
	ipcfs_known_sweep(&known, &ipcfs_sysv_msg, &finding);
	ipcfs_known_end(&known);
	assert_string_equal(found, "");
	look(&known, infos + 1, 1, "");
	ipcfs_known_begin(&known);
	ipcfs_known_changed(&known, &ipcfs_sysv_msg, &infos[1].ref);
	ipcfs_known_see(&known, &ipcfs_sysv_msg, &infos[1], &finding); /* as it was before */
	infos[1].perm.mode = 0640;
	look(&known, infos + 1, 1, "");
	ipcfs_known_free(&known);
}

static void a_removed_segment_is_gone_though_it_is_attached(void **state)
{
	struct ipcfs_known known = { 0 };
	struct ipcfs_info info = object("0x1", 1);

	(void)state;
	look(&known, &info, 1, "");
	info.ref.key = 0;
	info.removed = true;
	look(&known, &info, 1, "removed 0x1");
	ipcfs_known_free(&known);
}

static void more_objects_than_can_be_known_are_counted(void **state)
{
	struct ipcfs_known known = { 0 };

	(void)state;
	ipcfs_known_begin(&known);
	for (uint64_t i = 0; i < IPCFS_KNOWN_MAX + 3; i++) {
		struct ipcfs_info info = object("0x1", i);

		ipcfs_known_see(&known, &ipcfs_sysv_msg, &info, &finding);
	}
	assert_int_equal(known.left_out, 3);
	ipcfs_known_free(&known);
}

/* Looks at POSIX queues, which have a trail. */
static void look_mq(struct ipcfs_known *known, const struct ipcfs_info *infos, size_t count,
		    const char *expected)
{
	look_at(known, &ipcfs_posix_mq, infos, count, expected);
}

/*
 * Takes records, in order: "+name" is made, "-name" removed, "~name" changed, "_name" removed as a
 * step of sem_open(3). There is `info`, if not NULL. Asserts what is found.
 */
static void take(struct ipcfs_known *known, const char *records, const struct ipcfs_info *info,
		 const char *expected)
{
	char text[256], *rest = text, *word;

	*found = '\0';
	snprintf(text, sizeof(text), "%s", records);
	while ((word = strsep(&rest, " "))) {
		struct ipcfs_trail_record record = { .class = &ipcfs_posix_mq };
		bool there = info && !strcmp(info->ref.name, word + 1);

		record.kind = *word == '+'   ? IPCFS_TRAIL_MADE
			      : *word == '~' ? IPCFS_TRAIL_CHANGED
					     : IPCFS_TRAIL_REMOVED;
		record.step = *word == '_';
		snprintf(record.name, sizeof(record.name), "%s", word + 1);
		ipcfs_known_record(known, &record, there ? info : NULL, &finding);
	}
	assert_string_equal(found, expected);
}

/* Notes what a caller of the mount did, and asserts that it is told, and what before. */
static void make(struct ipcfs_known *known, const struct ipcfs_info *info, const char *expected)
{
	*found = '\0';
	assert_true(ipcfs_known_created(known, &ipcfs_posix_mq, info, &finding));
	assert_string_equal(found, expected);
}

static void unmake(struct ipcfs_known *known, const struct ipcfs_info *info, const char *expected)
{
	*found = '\0';
	assert_true(ipcfs_known_removed(known, &ipcfs_posix_mq, info, &finding));
	assert_string_equal(found, expected);
}

static void what_is_undone_between_two_looks_is_told_by_the_trail(void **state)
{
	struct ipcfs_known known = { .trailed = true };
	struct ipcfs_info info = object("b", 2);

	(void)state;
	look_mq(&known, NULL, 0, "");
	look_mq(&known, NULL, 0, "");
	take(&known, "+a -a +a ~a -a", NULL, "created a removed a created a changed a removed a");
	take(&known, "+step +b _step", &info, "created b");
	look_mq(&known, &info, 1, "");
	info.perm.mode = 0640;
	look_mq(&known, &info, 1, "changed b:mode");
	take(&known, "~b -b", NULL, "changed b removed b");
	look_mq(&known, &info, 1, ""); /* as it was before */
	look_mq(&known, NULL, 0, "");
	ipcfs_known_free(&known);
}

static void the_trail_says_nothing_of_what_the_mount_did(void **state)
{
	struct ipcfs_known known = { .trailed = true };
	struct ipcfs_info infos[] = { object("a", 1), object("a", 2), object("a", 3) };

	(void)state;
	look_mq(&known, NULL, 0, "");
	look_mq(&known, NULL, 0, "");
	make(&known, &infos[0], "");
	unmake(&known, &infos[0], "");
	make(&known, &infos[1], "");
	take(&known, "+a -a +a", &infos[1], "");
	look_mq(&known, &infos[1], 1, "");
	take(&known, "-a +a", &infos[2], "removed a created a");
	unmake(&known, &infos[2], "");
	take(&known, "-a +a -a", NULL, "created a removed a");
	look_mq(&known, NULL, 0, "");
	ipcfs_known_free(&known);
}

static void what_a_direct_caller_did_before_the_mount_is_told_before(void **state)
{
	struct ipcfs_known known = { .trailed = true };
	struct ipcfs_info infos[] = { object("a", 1), object("a", 2), object("a", 3) };

	(void)state;
	look_mq(&known, NULL, 0, "");
	look_mq(&known, NULL, 0, "");
	make(&known, &infos[0], "");
	make(&known, &infos[1], "removed a");
	unmake(&known, &infos[2], "removed a created a");
	take(&known, "+a -a +a -a +a -a", NULL, "");
	look_mq(&known, NULL, 0, "");
	take(&known, "+a -a", NULL, "created a removed a");
	*found = '\0';
	assert_true(ipcfs_known_removed(&known, &ipcfs_sysv_msg, &infos[0], &finding));
	assert_string_equal(found, "created a"); /* no trail, and no look has seen it */
	assert_false(ipcfs_known_created(&known, &ipcfs_sysv_msg, &infos[0], &finding)); /* late */
	infos[0].ref.serial = 4;
	unmake(&known, &infos[0], "created a");
	assert_false(ipcfs_known_created(&known, &ipcfs_posix_mq, &infos[0], &finding));
	take(&known, "+a -a +a -a", NULL, "created a removed a");
	take(&known, "+a", NULL, "");
	infos[0].ref.serial = 5;
	make(&known, &infos[0], "created a removed a");
	unmake(&known, &infos[0], "");
	take(&known, "-a +a -a", NULL, "");
	ipcfs_known_free(&known);
}

static void two_looks_tell_what_the_trail_has_missed(void **state)
{
	struct ipcfs_known known = { .trailed = true };
	struct ipcfs_info infos[] = { object("a", 1), object("b", 2) };

	(void)state;
	look_mq(&known, infos, 1, "");
	make(&known, &infos[1], "");
	ipcfs_known_overtaken(&known);
	look_mq(&known, infos, 2, "");
	known.behind = true;
	look_mq(&known, NULL, 0, "");
	look_mq(&known, NULL, 0, "");
	known.behind = false;
	look_mq(&known, infos + 1, 1, "removed a");
	infos[0].ref.serial = 3;
	look_mq(&known, infos, 2, "");
	look_mq(&known, infos, 2, "created a");
	look_mq(&known, infos, 2, "");
	ipcfs_known_free(&known);
}

/* Pays for 1,000 bytes, in steps of 500. */
static bool pay(void *arg, size_t more)
{
	struct ipcfs_known *known = arg;

	(void)more;
	if (known->room == 1000)
		return false;
	known->room += 500;
	return true;
}

static void no_more_is_known_than_is_paid_for(void **state)
{
	struct ipcfs_known known = { .trailed = true, .grow = pay, .arg = &known };
	struct ipcfs_info infos[8];

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		infos[i] = object((char[]){ 'a' + (char)i, 0 }, i);
	look_mq(&known, infos, 8, "");
	assert_in_range(known.left_out, 4, 7);
	assert_in_range(known.bytes, 500, 1000);
	make(&known, &infos[7], "");
	unmake(&known, &infos[7], "");
	take(&known, "+x +y +z", NULL, "");
	assert_in_range(known.untold, 1, 3);
	for (int i = 0; i < 4; i++)
		look_mq(&known, infos, 8, "");
	assert_in_range(known.left_out, 4, 7);
	ipcfs_known_free(&known);
	assert_int_equal(known.bytes, 0);
}

static void an_act_that_leaves_no_record_owes_none_for_long(void **state)
{
	struct ipcfs_known known = { .trailed = true };
	struct ipcfs_info info = object("a", 1);

	(void)state;
	look_mq(&known, NULL, 0, "");
	make(&known, &info, "");
	unmake(&known, &info, "");
	for (int i = 0; i < 3; i++)
		look_mq(&known, NULL, 0, "");
	take(&known, "+a -a", NULL, "created a removed a");
	for (int i = 0; i < 5; i++)
		look_mq(&known, NULL, 0, "");
	assert_null(known.names);
	assert_null(known.objects);
	ipcfs_known_free(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reader_has_its_own_place),
		cmocka_unit_test(what_a_reader_is_too_late_for_is_counted),
		cmocka_unit_test(looks_find_what_direct_callers_did),
		cmocka_unit_test(looks_say_nothing_of_what_the_mount_did),
		cmocka_unit_test(a_look_is_older_than_what_the_mount_did_meanwhile),
		cmocka_unit_test(a_removed_segment_is_gone_though_it_is_attached),
		cmocka_unit_test(more_objects_than_can_be_known_are_counted),
		cmocka_unit_test(what_is_undone_between_two_looks_is_told_by_the_trail),
		cmocka_unit_test(the_trail_says_nothing_of_what_the_mount_did),
		cmocka_unit_test(what_a_direct_caller_did_before_the_mount_is_told_before),
		cmocka_unit_test(two_looks_tell_what_the_trail_has_missed),
		cmocka_unit_test(no_more_is_known_than_is_paid_for),
		cmocka_unit_test(an_act_that_leaves_no_record_owes_none_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
