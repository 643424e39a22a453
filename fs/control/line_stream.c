/* SPDX-License-Identifier: MIT */
#include "fs/control/line_stream.h"

#include <errno.h>

#include "backends/contract/long_work.h"
#include "fs/access/caller.h"
#include "fs/base/clock.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"

#define SLICE_NS (5 * 1000 * 1000) /* ns: a read gives the lines that it has by then */
#define TURN_MS 10		   /* between two looks at whether a caller still waits */

/*
 * Drops the rest of a line that was made for a caller with other rights than the reader. The reader
 * goes on with the next line.
 */
static void drop_foreign_rest(struct ipcfs_line_stream *stream)
{
	const struct ipcfs_caller *caller = &stream->reader.caller;
	struct ipcfs_file *file = stream->file;

	if (caller->uid == file->lines.uid && caller->gid == file->lines.gid &&
	    caller->caps == file->lines.caps)
		return;
	pthread_mutex_lock(&file->lock);
	ipcfs_text_cut(&file->text, 0);
	pthread_mutex_unlock(&file->lock);
	file->lines.uid = caller->uid;
	file->lines.gid = caller->gid;
	file->lines.caps = caller->caps;
}

/*
 * Waits until no other read of the file goes on.
 * -EINTR: the caller was interrupted.
 * -ERESTART: it takes long (long_work.h).
 */
static int take_turn(struct ipcfs_line_stream *stream)
{
	struct timespec end = ipcfs_clock_after(CLOCK_REALTIME, TURN_MS);
	int err;

	while (pthread_mutex_timedlock(&stream->file->lines.turn, &end)) {
		if (fuse_req_interrupted(stream->req))
			return -EINTR;
		err = ipcfs_long_work();
		if (err)
			return err;
		end = ipcfs_clock_after(CLOCK_REALTIME, TURN_MS);
	}
	stream->turn = true;
	return 0;
}

int ipcfs_line_stream_begin(struct ipcfs_line_stream *stream, fuse_req_t req,
			    struct ipcfs_file *file, const struct ipcfs_io *io)
{
	int err;

	*stream = (struct ipcfs_line_stream){
		.req = req,
		.fs = ipcfs_of(req),
		.file = file,
		.wanted = io->size,
	};
	err = take_turn(stream);
	if (!err)
		err = ipcfs_status_reader_begin(req, &stream->reader);
	if (err)
		return err;
	stream->opener_too = !ipcfs_caller_is_within(&stream->reader.caller, &file->opener);
	drop_foreign_rest(stream);
	return 0;
}

bool ipcfs_line_stream_goes_on(const struct ipcfs_line_stream *stream)
{
	return stream->file->text.size < stream->wanted && ipcfs_clock_ns() < stream->end;
}

int ipcfs_line_stream_keep(struct ipcfs_line_stream *stream, const struct ipcfs_text *line)
{
	return ipcfs_file_keep(stream->fs, stream->file, line->data, line->size);
}

int ipcfs_line_stream_take(struct ipcfs_line_stream *stream, int (*make)(void *arg), void *arg)
{
	struct ipcfs_file *file = stream->file;
	int err = 0;

	while (!err && !file->text.size) {
		stream->end = ipcfs_clock_ns() + SLICE_NS;
		err = fuse_req_interrupted(stream->req) ? -EINTR : make(arg);
		if (!err && !file->text.size)
			err = ipcfs_long_work(); /* it goes on from where it has got to */
	}
	if (err < 0 && !file->text.size) /* lines that are there go first */
		return err;
	pthread_mutex_lock(&file->lock);
	err = ipcfs_file_take(stream->fs, file, stream->wanted, &stream->bytes);
	ipcfs_file_save(stream->fs, file);
	pthread_mutex_unlock(&file->lock);
	return err;
}

void ipcfs_line_stream_end(struct ipcfs_line_stream *stream, int err)
{
	ipcfs_status_reader_end(&stream->reader);
	if (stream->turn)
		pthread_mutex_unlock(&stream->file->lines.turn);
	if (err)
		ipcfs_reply_error(stream->req, err);
	else
		ipcfs_reply_bytes(stream->req, stream->bytes.data, stream->bytes.size);
	ipcfs_text_free(&stream->bytes);
}
