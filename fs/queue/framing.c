/* SPDX-License-Identifier: MIT */
#include "fs/queue/framing.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/number.h"

/* Bytes of a tag: the sign and digits of a long, a tab, and the NUL. */
#define TAG_SIZE (3 * sizeof(long) + 3)

/* Returns the little-endian number of 32 bits that stands here. */
static uint32_t number_at(const char *data)
{
	uint32_t number;

	memcpy(&number, data, sizeof(number));
	return le32toh(number);
}

/* Finds the first record of `data`, as ipcfs_frame_next. */
static int next_record(const char *data, size_t size, bool last,
		       const struct ipcfs_queue_ops *range, struct ipcfs_frame *frame)
{
	int64_t type;

	frame->length = size;
	if (size < IPCFS_RECORD_HEADER)
		return last ? -EINVAL : 0;
	type = number_at(data + 4);
	if (type < range->type_min || type > range->type_max)
		return -ERANGE;
	frame->type = (long)type;
	frame->start = IPCFS_RECORD_HEADER;
	frame->size = number_at(data);
	if (size - IPCFS_RECORD_HEADER < frame->size)
		return last ? -EINVAL : 0;
	frame->length = IPCFS_RECORD_HEADER + frame->size;
	return 1;
}

int ipcfs_frame_next(enum ipcfs_framing framing, const char *data, size_t size, bool last,
		     const struct ipcfs_queue_ops *range, struct ipcfs_frame *frame)
{
	const char *newline, *tab;
	size_t tag;
	int err;

	if (size == 0)
		return 0;
	if (framing == IPCFS_FRAMING_RECORDS)
		return next_record(data, size, last, range, frame);
	newline = memchr(data, '\n', size);
	if (!newline && !last)
		return 0;
	frame->type = range->type_plain;
	frame->start = 0;
	frame->size = newline ? (size_t)(newline - data) : size;
	frame->length = frame->size + (newline ? 1 : 0);
	if (framing == IPCFS_FRAMING_LINES)
		return 1;

	tab = memchr(data, '\t', frame->size);
	if (!tab)
		return -EINVAL;
	tag = (size_t)(tab - data);
	err = ipcfs_number_parse(data, tag, range->type_min, range->type_max, &frame->type);
	if (err)
		return err;
	frame->start = tag + 1;
	frame->size -= tag + 1;
	return 1;
}

size_t ipcfs_frame_unfinished(enum ipcfs_framing framing, const char *data, size_t size)
{
	size_t around = framing == IPCFS_FRAMING_TAGGED ? TAG_SIZE : 0;

	if (framing == IPCFS_FRAMING_RECORDS)
		return size < IPCFS_RECORD_HEADER ? 0 : number_at(data);
	return size < around ? 0 : size - around;
}

/* Appends a record. Errors as ipcfs_frame_add. */
static int add_record(const struct ipcfs_message *message, size_t size, struct ipcfs_text *out)
{
	const uint32_t header[2] = { htole32((uint32_t)size), htole32((uint32_t)message->type) };

	if (message->type < 0 || (uint64_t)message->type > UINT32_MAX || size > UINT32_MAX)
		return -EOVERFLOW;
	/* One reservation for both: after it, adding does not fail. */
	if (ipcfs_text_reserve(out, sizeof(header) + size))
		return -ENOMEM;
	(void)ipcfs_text_add(out, header, sizeof(header));
	return ipcfs_text_add(out, message->text, size);
}

int ipcfs_frame_add(enum ipcfs_framing framing, const struct ipcfs_message *message, size_t size,
		    struct ipcfs_text *out)
{
	size_t was = out->size, need;
	char tag[TAG_SIZE];
	int tag_size = 0, err;

	if (framing == IPCFS_FRAMING_RECORDS)
		return add_record(message, size, out);
	if (framing == IPCFS_FRAMING_TAGGED)
		tag_size = snprintf(tag, sizeof(tag), "%ld\t", message->type);
	if (__builtin_add_overflow(size, (size_t)tag_size + 1, &need))
		return -ENOMEM;
	/* One reservation for all: growing later would copy the bytes, and clear the old ones. */
	err = ipcfs_text_reserve(out, need);
	if (!err && tag_size)
		err = ipcfs_text_add(out, tag, (size_t)tag_size);
	if (!err && size)
		err = ipcfs_text_add(out, message->text, size);
	if (!err && (size == 0 || message->text[size - 1] != '\n'))
		err = ipcfs_text_add(out, "\n", 1);
	if (err)
		ipcfs_text_cut(out, was);
	return err;
}
