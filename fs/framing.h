/* SPDX-License-Identifier: MIT */
/* How messages stand in the byte streams of the files meant for shells. Pure. */
#ifndef IPCFS_FRAMING_H
#define IPCFS_FRAMING_H

#include "../backends/backend.h"

enum ipcfs_framing {
	IPCFS_FRAMING_LINES,  /* TEXT newline */
	IPCFS_FRAMING_TAGGED, /* TYPE tab TEXT newline */
};

/* Where the first message of a run of bytes stands in it. */
struct ipcfs_frame {
	long type;
	size_t start;  /* of its text */
	size_t size;   /* of its text, without the newline */
	size_t length; /* of all it takes, with tag and newline */
};

/*
 * Find the first line of `data`. Returns 1 and fills *frame, or 0: no whole line yet. With `last`
 * what is left without a newline is a line too (but nothing is not). Tagged lines have a type of
 * type_min..type_max in decimal, plain ones get type_plain. On -EINVAL (no tab, no number) and
 * -ERANGE (type) frame->length is the length of the bad line all the same, so that it can be left out.
 */
int ipcfs_frame_next(enum ipcfs_framing framing, const char *data, size_t size, bool last,
		     const struct ipcfs_queue_ops *range, struct ipcfs_frame *frame);

/*
 * Append a message as reading shows it: a newline is added where the text does not end in one.
 * 0 or -ENOMEM (nothing appended).
 */
int ipcfs_frame_add(enum ipcfs_framing framing, const struct ipcfs_message *message, size_t size,
		    struct ipcfs_text *out);

#endif
