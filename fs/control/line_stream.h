/* SPDX-License-Identifier: MIT */
/*
 * Files that give lines about many things, each once, and then end of file: `objects`, `users`. A
 * read takes the lines that are ready in a few ms. Lines are made for the caller of the read, and
 * tell no more than the opener may know.
 */
#ifndef IPCFS_LINE_STREAM_H
#define IPCFS_LINE_STREAM_H

#include "fs/control/status.h"
#include "fs/request/file.h"

/* One read. */
struct ipcfs_line_stream {
	fuse_req_t req;
	struct ipcfs_filesystem *fs;
	struct ipcfs_file *file;
	size_t wanted; /* bytes; no more lines are made than fill them */
	struct ipcfs_status_reader reader;
	bool turn;	 /* file->lines.turn is held */
	bool opener_too; /* the opener has not all rights of the reader, and is judged, too */
	uint64_t end;	 /* as ipcfs_clock_ns: when the lines of now have to be ready */
	struct ipcfs_text bytes; /* the answer */
};

/*
 * Begins a read, of which each file has one at a time. Begins also after an error: call
 * ipcfs_line_stream_end in any case.
 * -EINTR: the caller was interrupted before another read of the file has ended.
 * -ERESTART: another read of the file takes long (long_work.h).
 * -ENOMEM, and the errors of ipcfs_caller_load.
 */
int ipcfs_line_stream_begin(struct ipcfs_line_stream *stream, fuse_req_t req,
			    struct ipcfs_file *file, const struct ipcfs_io *io);

/* Returns whether another line is to be made now: bytes are wanted, and there is time. */
bool ipcfs_line_stream_goes_on(const struct ipcfs_line_stream *stream);

/* Appends a line to the file's text. -ENOMEM: also if the opener can't pay for it. */
int ipcfs_line_stream_keep(struct ipcfs_line_stream *stream, const struct ipcfs_text *line);

/*
 * Takes the next bytes. Calls make(arg), which makes lines while ipcfs_line_stream_goes_on, and
 * returns 1 when there are no more, until there is a line.
 * -EINTR: the caller is gone.
 * -ERESTART: a few ms were not enough for a line (long_work.h).
 * -ENOMEM, and the errors of `make` if no line is there.
 */
int ipcfs_line_stream_take(struct ipcfs_line_stream *stream, int (*make)(void *arg), void *arg);

/* Ends a read, and answers it: with an error, or if that is 0 with the bytes. */
void ipcfs_line_stream_end(struct ipcfs_line_stream *stream, int err);

#endif
