/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a stream of lines, and of records. The first byte of the input says how they are cut into writes,
 * and which range of types is allowed; the rest is the stream.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/queue/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ipcfs_queue_ops ranges[] = {
	{ .type_min = 0, .type_max = 32767, .type_plain = 0 },
	{ .type_min = 1, .type_max = LONG_MAX, .type_plain = 1 },
};

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_frame(enum ipcfs_framing framing, const char *data, size_t size, bool last,
			const struct ipcfs_queue_ops *range, const struct ipcfs_frame *frame)
{
	bool ended;

	require(frame->start <= frame->length && frame->size <= frame->length - frame->start);
	require(!memchr(data + frame->start, '\n', frame->size));
	require(frame->type >= range->type_min && frame->type <= range->type_max);
	/* Text, then at most a newline; no byte is left out. */
	ended = data[frame->length - 1] == '\n';
	require(frame->start + frame->size + ended == frame->length);
	require(ended || (last && frame->length == size));
	if (framing == IPCFS_FRAMING_LINES)
		require(frame->start == 0 && frame->type == range->type_plain);
	else
		require(frame->start >= 2 && data[frame->start - 1] == '\t');
}

/* A message of these bytes, shown and read again, is the same. */
static void check_shown(enum ipcfs_framing framing, const struct ipcfs_queue_ops *range, long type,
			const char *text, size_t size, struct ipcfs_text *out)
{
	struct ipcfs_message *message = malloc(sizeof(*message) + size);
	size_t was = out->size;
	struct ipcfs_frame frame;

	if (!message)
		return;
	message->type = type;
	if (size)
		memcpy(message->text, text, size);
	require(ipcfs_frame_add(framing, message, size, out) == 0);
	free(message);
	require(out->size > was && out->data[out->size - 1] == '\n');
	require(ipcfs_frame_next(framing, out->data + was, out->size - was, false, range, &frame) ==
		1);
	require(framing == IPCFS_FRAMING_LINES || frame.type == type);
	/* A newline inside makes several lines of it; the first is its beginning. */
	require(frame.size <= size);
	require(!frame.size || !memcmp(out->data + was + frame.start, text, frame.size));
	if (!size || !memchr(text, '\n', size))
		require(frame.size == size && frame.length == out->size - was);
}

/*
 * Takes the stream apart and joins the messages again. `step` bytes are written at a time: a line
 * is complete only when its newline has come. Returns the number of bad lines.
 */
static size_t split(enum ipcfs_framing framing, const struct ipcfs_queue_ops *range,
		    const char *data, size_t size, size_t step, struct ipcfs_text *out)
{
	size_t at = 0, end = 0, bad = 0;

	while (at < size) {
		bool last = end == size;
		struct ipcfs_frame frame = { 0 };
		int result = ipcfs_frame_next(framing, data + at, end - at, last, range, &frame);

		if (result == 0) {
			require(!last && (end == at || !memchr(data + at, '\n', end - at)));
			end = size - end < step ? size : end + step;
			continue;
		}
		require(frame.length > 0 && frame.length <= end - at);
		if (result < 0) {
			require(framing == IPCFS_FRAMING_TAGGED);
			require(result == -EINVAL || result == -ERANGE);
			require(data[at + frame.length - 1] == '\n' || last);
			bad++;
		} else {
			require(result == 1);
			check_frame(framing, data + at, end - at, last, range, &frame);
			check_shown(framing, range, frame.type, data + at + frame.start, frame.size,
				    out);
		}
		at += frame.length;
	}
	return bad;
}

static void check_stream(enum ipcfs_framing framing, const struct ipcfs_queue_ops *range,
			 const char *data, size_t size, size_t step)
{
	struct ipcfs_text whole = { 0 }, parts = { 0 }, again = { 0 };
	size_t bad = split(framing, range, data, size, size, &whole);

	require(split(framing, range, data, size, step, &parts) == bad);
	require(parts.size == whole.size);
	require(!whole.size || !memcmp(parts.data, whole.data, whole.size));
	/* Every number has one spelling, so a stream without bad lines comes back unchanged. */
	if (bad == 0 && size > 0) {
		require(whole.size == size + (data[size - 1] != '\n'));
		require(!memcmp(whole.data, data, size));
	}
	require(split(framing, range, whole.data, whole.size, step, &again) == 0);
	require(again.size == whole.size);
	require(!whole.size || !memcmp(again.data, whole.data, whole.size));
	ipcfs_text_free(&whole);
	ipcfs_text_free(&parts);
	ipcfs_text_free(&again);
}

/* Appends a whole record as a reader sees it, and requires that it has the bytes that were cut. */
static void check_record(const char *data, const struct ipcfs_frame *frame, struct ipcfs_text *out)
{
	struct ipcfs_message *message = malloc(sizeof(*message) + frame->size);
	size_t was = out->size;

	if (!message)
		return;
	require(frame->start == IPCFS_RECORD_HEADER);
	require(frame->length == IPCFS_RECORD_HEADER + frame->size);
	message->type = frame->type;
	memcpy(message->text, data + frame->start, frame->size);
	require(ipcfs_frame_add(IPCFS_FRAMING_RECORDS, message, frame->size, out) == 0);
	free(message);
	require(out->size - was == frame->length);
	require(!memcmp(out->data + was, data, frame->length));
}

/*
 * Takes the stream apart into records, which are written `step` bytes at a time, up to the first
 * bad one. All of them together are the beginning of the stream. Returns the result at its end.
 */
static int split_records(const struct ipcfs_queue_ops *range, const char *data, size_t size,
			 size_t step, struct ipcfs_text *out)
{
	size_t at = 0, end = 0, least;
	int result = 0;

	while (at < size) {
		struct ipcfs_frame frame = { 0 };

		result = ipcfs_frame_next(IPCFS_FRAMING_RECORDS, data + at, end - at, end == size,
					  range, &frame);
		if (result < 0)
			break;
		if (result == 1) {
			require(frame.length <= end - at);
			require(frame.type >= range->type_min && frame.type <= range->type_max);
			check_record(data + at, &frame, out);
			at += frame.length;
			continue;
		}
		require(end < size);
		least = ipcfs_frame_unfinished(IPCFS_FRAMING_RECORDS, data + at, end - at);
		require(least == 0 || end - at < IPCFS_RECORD_HEADER + least);
		end = size - end < step ? size : end + step;
	}
	require(result == 1 || result == -ERANGE || result == -EINVAL || size == 0);
	require(at == out->size && (!at || !memcmp(out->data, data, at)));
	return result;
}

static void check_records(const struct ipcfs_queue_ops *range, const char *data, size_t size,
			  size_t step)
{
	struct ipcfs_text whole = { 0 }, parts = { 0 };
	int result = split_records(range, data, size, size, &whole);

	require(split_records(range, data, size, step, &parts) == result);
	require(parts.size == whole.size);
	ipcfs_text_free(&whole);
	ipcfs_text_free(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_text out = { 0 };

	if (size == 0)
		return 0;

	const struct ipcfs_queue_ops *range = &ranges[data[0] & 1];
	size_t step = 1 + (data[0] >> 1);
	const char *stream = (const char *)data + 1;

	size--;
	check_stream(IPCFS_FRAMING_LINES, range, stream, size, step);
	check_stream(IPCFS_FRAMING_TAGGED, range, stream, size, step);
	check_records(range, stream, size, step);
	check_shown(IPCFS_FRAMING_LINES, range, range->type_plain, stream, size, &out);
	check_shown(IPCFS_FRAMING_TAGGED, range, range->type_max, stream, size, &out);
	ipcfs_text_free(&out);
	return 0;
}
