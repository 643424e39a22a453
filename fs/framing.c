/* SPDX-License-Identifier: MIT */
#include "framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "number.h"

/* A tag: digits and sign of a long, a tab, the end of the string. */
#define TAG_ROOM (3 * sizeof(long) + 3)

int ipcfs_frame_next(enum ipcfs_framing framing, const char *data, size_t size, bool last,
		     const struct ipcfs_queue_ops *range, struct ipcfs_frame *frame)
{
	const char *newline, *tab;
	size_t tag;
	int err;

	if (size == 0)
		return 0;
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

int ipcfs_frame_add(enum ipcfs_framing framing, const struct ipcfs_message *message, size_t size,
		    struct ipcfs_text *out)
{
	size_t was = out->size, need;
	char tag[TAG_ROOM];
	int tag_size = 0, err;

	if (framing == IPCFS_FRAMING_TAGGED)
		tag_size = snprintf(tag, sizeof(tag), "%ld\t", message->type);
	if (__builtin_add_overflow(size, (size_t)tag_size + 1, &need))
		return -ENOMEM;
	/* All at once, so that there is nothing to move, and clear, half way. */
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
