/* SPDX-License-Identifier: MIT */
#include "fs/control/create.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/unanswered.h"
#include "fs/control/make.h"
#include "fs/control/spec.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"

#define PATH_SIZE (NAME_MAX + 64) /* bytes of a path with its newline */
#define UNREAD_MAX (64 * 1024)	  /* bytes: beyond, no reason is added to what was not read */
/* ns: a write takes the lines that it has made by then, and its caller writes the rest */
#define WRITE_NS (5 * 1000 * 1000)

void ipcfs_create_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct ipcfs_text bytes = { 0 };
	int err;

	pthread_mutex_lock(&file->lock);
	err = ipcfs_file_take(ipcfs_of(req), file, io->size, &bytes);
	if (!err)
		ipcfs_file_done(ipcfs_of(req), file, (ssize_t)bytes.size, bytes.data);
	pthread_mutex_unlock(&file->lock);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
}

/* Reserves memory for one more path that is to be read. -ENOMEM: also if max_bytes is reached. */
static int reserve_path(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	int err;

	if (!file->reads)
		return 0;
	pthread_mutex_lock(&file->lock);
	err = ipcfs_file_reserve(fs, file, PATH_SIZE);
	pthread_mutex_unlock(&file->lock);
	return err;
}

/*
 * Makes the object that a line asks for, and appends its path to file->text if the file is read.
 * After an error *reason says why.
 */
static int make_line(fuse_req_t req, struct ipcfs_file *file, const char *line, size_t size,
		     struct ipcfs_refusal *reason)
{
	const struct ipcfs_view *view = ipcfs_view_at(ipcfs_of(req)->registry, file->key.view);
	struct ipcfs_info info;
	struct ipcfs_spec spec;
	int err;

	err = ipcfs_spec_parse(line, size, &spec, reason);
	if (err)
		return err > 0 ? 0 : err; /* 1: an empty line or a comment */
	err = reserve_path(ipcfs_of(req), file);
	if (err)
		ipcfs_refusal_set(reason, line, size, "no memory is left for its path");
	else
		err = ipcfs_make(req, view, &spec, &info, reason);
	ipcfs_spec_free(&spec);
	if (err)
		return err;
	pthread_mutex_lock(&file->lock);
	if (file->reads)
		ipcfs_text_printf(&file->text, "%s/%s/%s\n", spec.class->family, spec.class->name,
				  info.ref.name);
	pthread_mutex_unlock(&file->lock);
	return 0;
}

/* Logs why a line was refused, and appends the reason to file->text if the file is read. */
static void tell(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_refusal *reason)
{
	ipcfs_refusal_log(fuse_req_ctx(req)->uid, reason);
	pthread_mutex_lock(&file->lock);
	/* without memory the reason can't be read */
	if (file->reads && file->text.size < UNREAD_MAX &&
	    !ipcfs_file_reserve(ipcfs_of(req), file, sizeof(reason->text) + PATH_SIZE))
		ipcfs_text_printf(&file->text, "error: %s\n", reason->text);
	pthread_mutex_unlock(&file->lock);
}

ssize_t ipcfs_create_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	uint64_t until = ipcfs_clock_ns() + WRITE_NS;
	struct ipcfs_refusal reason;
	size_t done = 0;

	while (done < io->size && (!done || ipcfs_clock_ns() < until)) {
		const char *line = io->bytes + done;
		const char *end = memchr(line, '\n', io->size - done);
		size_t length = end ? (size_t)(end - line) : io->size - done;
		int err = make_line(req, file, line, length, &reason);

		if (err && done)
			return (ssize_t)done; /* the next write begins with this line */
		if (err && err != -ERESTART)
			tell(req, file, &reason);
		if (err)
			return err;
		done += length + (end ? 1 : 0);
	}
	return (ssize_t)done;
}
