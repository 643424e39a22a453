/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/queue/framing.h"

static const struct ipcfs_queue_ops posix = { .type_min = 0, .type_max = 32767, .type_plain = 0 };
static const struct ipcfs_queue_ops sysv = { .type_min = 1, .type_max = LONG_MAX, .type_plain = 1 };

struct expected {
	int result;
	long type;
	const char *text;
	size_t length;
};

static void check_next(enum ipcfs_framing framing, const char *data, size_t size, bool last,
		       const struct ipcfs_queue_ops *range, struct expected want)
{
	struct ipcfs_frame frame = { 0 };

	assert_int_equal(ipcfs_frame_next(framing, data, size, last, range, &frame), want.result);
	if (want.result == 0)
		return;
	assert_int_equal(frame.length, want.length);
	if (want.result < 0)
		return;
	assert_true(frame.type == want.type);
	assert_int_equal(frame.size, strlen(want.text));
	assert_memory_equal(data + frame.start, want.text, frame.size);
}

static void lines(const char *data, bool last, struct expected want)
{
	check_next(IPCFS_FRAMING_LINES, data, strlen(data), last, &sysv, want);
}

static void tagged(const struct ipcfs_queue_ops *range, const char *data, struct expected want)
{
	check_next(IPCFS_FRAMING_TAGGED, data, strlen(data), false, range, want);
}

#define LINE(text, length) ((struct expected){ 1, 1, text, length })
#define NONE ((struct expected){ 0, 0, "", 0 })
#define TYPED(type, text, length) ((struct expected){ 1, type, text, length })
#define BAD(error, length) ((struct expected){ -(error), 0, "", length })

static void plain_lines(void **state)
{
	(void)state;
	lines("", false, NONE);
	lines("", true, NONE);
	lines("a", false, NONE);
	lines("a", true, LINE("a", 1));
	lines("a\n", false, LINE("a", 2));
	lines("a\nb\n", true, LINE("a", 2));
	lines("\n", false, LINE("", 1));
	lines("\n\n", true, LINE("", 1));
	lines("5\ttext\r\nx", false, LINE("5\ttext\r", 8));
	check_next(IPCFS_FRAMING_LINES, "x\n", 2, false, &posix, (struct expected){ 1, 0, "x", 2 });
	/* Bytes behind the size are not looked at. */
	check_next(IPCFS_FRAMING_LINES, "ab\n", 2, false, &sysv, NONE);
	check_next(IPCFS_FRAMING_LINES, NULL, 0, true, &sysv, NONE);
}

static void binary_lines(void **state)
{
	static const char data[] = { 'a', '\0', '\377', '\n', '\0' };
	struct ipcfs_frame frame;

	(void)state;
	assert_int_equal(ipcfs_frame_next(IPCFS_FRAMING_LINES, data, 5, false, &sysv, &frame), 1);
	assert_int_equal(frame.size, 3);
	assert_int_equal(frame.length, 4);
	assert_int_equal(ipcfs_frame_next(IPCFS_FRAMING_LINES, data + 4, 1, true, &sysv, &frame),
			 1);
	assert_int_equal(frame.size, 1);
}

static void tagged_lines(void **state)
{
	(void)state;
	tagged(&sysv, "5\ttext\n", TYPED(5, "text", 7));
	tagged(&sysv, "5\t\n", TYPED(5, "", 3));
	tagged(&sysv, "5\ta\tb\n6\tc\n", TYPED(5, "a\tb", 6));
	tagged(&sysv, "5\t\t\n", TYPED(5, "\t", 4));
	tagged(&sysv, "9223372036854775807\tx\n", TYPED(LONG_MAX, "x", 22));
	tagged(&posix, "0\tx\n", TYPED(0, "x", 4));
	tagged(&posix, "32767\tx\n", TYPED(32767, "x", 8));
	tagged(&sysv, "5\ttext", NONE);
	check_next(IPCFS_FRAMING_TAGGED, "5\ttext", 6, true, &sysv, TYPED(5, "text", 6));
	check_next(IPCFS_FRAMING_TAGGED, "", 0, true, &sysv, NONE);
}

/* A negative number is a number: out of range, not malformed. */
static void bad_tags(void **state)
{
	(void)state;
	tagged(&sysv, "0\tx\nrest", BAD(ERANGE, 4));
	tagged(&sysv, "-1\tx\n", BAD(ERANGE, 5));
	tagged(&sysv, "9223372036854775808\tx\n", BAD(ERANGE, 22));
	tagged(&posix, "32768\tx\n", BAD(ERANGE, 8));
	tagged(&posix, "-1\tx\n", BAD(ERANGE, 5));
	tagged(&sysv, "text\nrest", BAD(EINVAL, 5));
	tagged(&sysv, "\n\n", BAD(EINVAL, 1));
	tagged(&sysv, "5\n6\tx\n", BAD(EINVAL, 2));
	tagged(&sysv, "5 \tx\n", BAD(EINVAL, 5));
	tagged(&sysv, "5 x\n", BAD(EINVAL, 4));
	tagged(&sysv, "\tx\n", BAD(EINVAL, 3));
	tagged(&sysv, "05\tx\n", BAD(EINVAL, 5));
	tagged(&sysv, "+5\tx\n", BAD(EINVAL, 5));
	tagged(&sysv, "five\tx\n", BAD(EINVAL, 7));
	check_next(IPCFS_FRAMING_TAGGED, "text", 4, true, &sysv, BAD(EINVAL, 4));
	check_next(IPCFS_FRAMING_TAGGED, "0\tx", 3, true, &sysv, BAD(ERANGE, 3));
}

static void record(const char *data, size_t size, struct expected want)
{
	check_next(IPCFS_FRAMING_RECORDS, data, size, false, &sysv, want);
}

#define BYTES(bytes) bytes, sizeof(bytes) - 1

static void whole_records(void **state)
{
	(void)state;
	record(BYTES("\1\0\0\0\5\0\0\0a"), TYPED(5, "a", 9));
	record(BYTES("\0\0\0\0\1\0\0\0"), TYPED(1, "", 8));
	record(BYTES("\1\0\0\0\5\0\0\0a\2\0\0\0"), TYPED(5, "a", 9));
	record(BYTES("\2\0\0\0\1\2\3\4\n\t"), TYPED(0x04030201, "\n\t", 10));
	record(BYTES("\0\0\0\0\377\377\377\377"), TYPED(0xffffffff, "", 8));
	check_next(IPCFS_FRAMING_RECORDS, BYTES("\1\0\0\0\0\0\0\0a"), true, &posix,
		   TYPED(0, "a", 9));
	check_next(IPCFS_FRAMING_RECORDS, BYTES("\0\0\0\0\377\177\0\0"), false, &posix,
		   TYPED(32767, "", 8));
}

/* A bad type is found before the rest of the record is there. */
static void unfinished_records(void **state)
{
	static const char whole[] = "\3\0\0\0\5\0\0\0abc";

	(void)state;
	record(BYTES(""), NONE);
	for (size_t size = 1; size < sizeof(whole) - 1; size++) {
		record(whole, size, NONE);
		check_next(IPCFS_FRAMING_RECORDS, whole, size, true, &sysv, BAD(EINVAL, size));
	}
	record(BYTES("\377\377\377\377\5\0\0\0abc"), NONE);
	record(BYTES("\377\377\377\377\0\0\0\0abc"), BAD(ERANGE, 11));
	record(BYTES("\1\0\0\0\0\0\0\0a"), BAD(ERANGE, 9));
	check_next(IPCFS_FRAMING_RECORDS, BYTES("\0\0\0\0\0\200\0\0"), false, &posix,
		   BAD(ERANGE, 8));
	check_next(IPCFS_FRAMING_RECORDS, BYTES("\0\0\0\0\377\377\377\377"), true, &posix,
		   BAD(ERANGE, 8));
}

static void unfinished(enum ipcfs_framing framing, const char *data, size_t size, size_t want)
{
	assert_int_equal(ipcfs_frame_unfinished(framing, data, size), want);
}

static void least_sizes(void **state)
{
	(void)state;
	unfinished(IPCFS_FRAMING_LINES, BYTES("12345"), 5);
	unfinished(IPCFS_FRAMING_TAGGED, BYTES("12345"), 0);
	unfinished(IPCFS_FRAMING_TAGGED, BYTES("9223372036854775807\tabcdefghijk"), 4);
	unfinished(IPCFS_FRAMING_RECORDS, BYTES("\5\0\0\0\0\0\0"), 0);
	unfinished(IPCFS_FRAMING_RECORDS, BYTES("\5\1\0\0\0\0\0\0"), 261);
	unfinished(IPCFS_FRAMING_RECORDS, BYTES("\377\377\377\377\0\0\0\0x"), 0xffffffff);
}

static struct ipcfs_message *message_make(long type, const char *text, size_t size)
{
	struct ipcfs_message *message = malloc(sizeof(*message) + size);

	assert_non_null(message);
	message->type = type;
	memcpy(message->text, text, size);
	return message;
}

static void check_add(enum ipcfs_framing framing, long type, const char *text, const char *want)
{
	struct ipcfs_message *message = message_make(type, text, strlen(text));
	struct ipcfs_text out = { 0 };

	/* Behind existing text. */
	assert_int_equal(ipcfs_text_add(&out, "^", 1), 0);
	assert_int_equal(ipcfs_frame_add(framing, message, strlen(text), &out), 0);
	assert_int_equal(out.size, strlen(want) + 1);
	assert_memory_equal(out.data + 1, want, strlen(want));
	ipcfs_text_free(&out);
	free(message);
}

static void adding(void **state)
{
	(void)state;
	check_add(IPCFS_FRAMING_LINES, 5, "", "\n");
	check_add(IPCFS_FRAMING_LINES, 5, "a", "a\n");
	check_add(IPCFS_FRAMING_LINES, 5, "a\n", "a\n");
	check_add(IPCFS_FRAMING_LINES, 5, "\n", "\n");
	check_add(IPCFS_FRAMING_LINES, 5, "a\nb", "a\nb\n");
	check_add(IPCFS_FRAMING_LINES, 5, "a\n\n", "a\n\n");
	check_add(IPCFS_FRAMING_TAGGED, 5, "", "5\t\n");
	check_add(IPCFS_FRAMING_TAGGED, 5, "a\tb", "5\ta\tb\n");
	check_add(IPCFS_FRAMING_TAGGED, 0, "a\n", "0\ta\n");
	check_add(IPCFS_FRAMING_TAGGED, LONG_MAX, "a", "9223372036854775807\ta\n");
	check_add(IPCFS_FRAMING_TAGGED, LONG_MIN, "", "-9223372036854775808\t\n");
}

static void check_add_record(long type, size_t size, const char *want)
{
	struct ipcfs_message *message = message_make(type, "abc", 3);
	struct ipcfs_text out = { 0 };

	assert_int_equal(ipcfs_text_add(&out, "^", 1), 0);
	assert_int_equal(ipcfs_frame_add(IPCFS_FRAMING_RECORDS, message, size, &out),
			 want ? 0 : -EOVERFLOW);
	assert_int_equal(out.size, want ? 1 + IPCFS_RECORD_HEADER + size : 1);
	if (want)
		assert_memory_equal(out.data + 1, want, IPCFS_RECORD_HEADER + size);
	ipcfs_text_free(&out);
	free(message);
}

static void adding_records(void **state)
{
	(void)state;
	check_add_record(5, 0, "\0\0\0\0\5\0\0\0");
	check_add_record(0, 3, "\3\0\0\0\0\0\0\0abc");
	check_add_record(0x04030201, 1, "\1\0\0\0\1\2\3\4a");
	check_add_record(0xffffffff, 1, "\1\0\0\0\377\377\377\377a");
	check_add_record(0x100000000, 1, NULL);
	check_add_record(LONG_MAX, 1, NULL);
	check_add_record(-1, 1, NULL);
	check_add_record(5, 0x100000000, NULL);
}

static void adding_what_no_memory_holds(void **state)
{
	struct ipcfs_message *message = message_make(5, "abc", 3);
	struct ipcfs_text out = { 0 };

	(void)state;
	assert_int_equal(ipcfs_text_add(&out, "^", 1), 0);
	for (size_t less = 0; less < 40; less++) {
		assert_int_equal(ipcfs_frame_add(IPCFS_FRAMING_TAGGED, message, SIZE_MAX - less,
						 &out),
				 -ENOMEM);
		assert_int_equal(ipcfs_frame_add(IPCFS_FRAMING_LINES, message, SIZE_MAX - less,
						 &out),
				 -ENOMEM);
	}
	assert_int_equal(out.size, 1);
	assert_int_equal(out.data[0], '^');
	ipcfs_text_free(&out);
	free(message);
}

/* A stream that is cut anywhere gives the same messages, and these give the same stream. */
static void cutting_and_joining(void **state)
{
	static const char stream[] = "1\ta\n22\t\n333\tc\td\n4\tend\n";
	size_t size = sizeof(stream) - 1;

	(void)state;
	for (size_t cut = 0; cut <= size; cut++) {
		struct ipcfs_text out = { 0 };
		size_t at = 0, count = 0;

		for (;;) {
			struct ipcfs_frame frame;
			size_t end = at < cut ? cut : size;
			int got = ipcfs_frame_next(IPCFS_FRAMING_TAGGED, stream + at, end - at,
						   false, &sysv, &frame);

			if (got == 0 && end < size) {
				got = ipcfs_frame_next(IPCFS_FRAMING_TAGGED, stream + at, size - at,
						       false, &sysv, &frame);
			}
			if (got == 0)
				break;
			assert_int_equal(got, 1);

			struct ipcfs_message *message =
				message_make(frame.type, stream + at + frame.start, frame.size);

			assert_int_equal(ipcfs_frame_add(IPCFS_FRAMING_TAGGED, message, frame.size,
							 &out),
					 0);
			free(message);
			at += frame.length;
			count++;
		}
		assert_int_equal(count, 4);
		assert_int_equal(out.size, size);
		assert_memory_equal(out.data, stream, size);
		ipcfs_text_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines),
		cmocka_unit_test(binary_lines),
		cmocka_unit_test(tagged_lines),
		cmocka_unit_test(bad_tags),
		cmocka_unit_test(whole_records),
		cmocka_unit_test(unfinished_records),
		cmocka_unit_test(least_sizes),
		cmocka_unit_test(adding),
		cmocka_unit_test(adding_records),
		cmocka_unit_test(adding_what_no_memory_holds),
		cmocka_unit_test(cutting_and_joining),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
