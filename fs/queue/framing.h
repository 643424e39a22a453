/* SPDX-License-Identifier: MIT */
/* How messages are framed in the bytes of lines, tagged and records. Pure functions. */
#ifndef IPCFS_FRAMING_H
#define IPCFS_FRAMING_H

#include "backends/contract/contract.h"

enum ipcfs_framing {
	IPCFS_FRAMING_LINES,   /* TEXT newline */
	IPCFS_FRAMING_TAGGED,  /* TYPE tab TEXT newline */
	IPCFS_FRAMING_RECORDS, /* size of TEXT and TYPE, 32 bits each, little-endian; TEXT */
	IPCFS_FRAMING_NONE,    /* all bytes are one message */
};

#define IPCFS_RECORD_HEADER 8 /* bytes before the text of a record */

/* Where the first message is in some bytes. */
struct ipcfs_frame {
	long type;
	size_t start;  /* offset of its text */
	size_t size;   /* of its text, without the newline, bytes */
	size_t length; /* of everything, with tag and newline or header, bytes */
};

/*
 * Finds the first message of `data`, `size` bytes. Returns 1 and fills *frame, or returns 0: `data`
 * has no whole message. With `last`, bytes without a newline at the end of `data` are a line, too.
 * A tagged line begins with a type from range->type_min to range->type_max, in decimal, and a tab.
 * So is the type in a record. A plain line has the type range->type_plain. After the errors
 * frame->length is the length of the bad line, so that the caller can skip it, or all of `data` for
 * a record.
 * -EINVAL: there is no tab, or no number before it. With `last`: the record is unfinished.
 * -ERANGE: the type is out of range.
 */
int ipcfs_frame_next(enum ipcfs_framing framing, const char *data, size_t size, bool last,
		     const struct ipcfs_queue_ops *range, struct ipcfs_frame *frame);

/*
 * Returns how long the text of the unfinished message in `data`, `size` bytes, is at least. A
 * record says it in its header.
 */
size_t ipcfs_frame_unfinished(enum ipcfs_framing framing, const char *data, size_t size);

/*
 * Appends a message of `size` bytes as a reader sees it: as a record, or with its tag in tagged,
 * and with a newline if the text does not end in one.
 * -ENOMEM: nothing was appended.
 * -EOVERFLOW: a record has no room for its type or size; nothing was appended.
 */
int ipcfs_frame_add(enum ipcfs_framing framing, const struct ipcfs_message *message, size_t size,
		    struct ipcfs_text *out);

#endif
