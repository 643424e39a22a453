/* SPDX-License-Identifier: MIT */
#include "fs/request/sample.h"
#include "fs/request/file_saved.h"

#include "fs/request/reply.h"

/* Appends the part of file->text that the read asks for. -ENOMEM. Call with file->lock held. */
static int copy_part(const struct ipcfs_file *file, const struct ipcfs_io *io,
		     struct ipcfs_text *out)
{
	size_t offset = (size_t)io->offset, size = io->size;

	if (offset >= file->text.size)
		return 0;
	if (size > file->text.size - offset)
		size = file->text.size - offset;
	return ipcfs_text_add(out, file->text.data + offset, size);
}

static void exchange(struct ipcfs_text *one, struct ipcfs_text *other)
{
	struct ipcfs_text kept = *one;

	*one = *other;
	*other = kept;
}

void ipcfs_sample_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io,
		       ipcfs_sample_text *text)
{
	struct ipcfs_text fresh = { 0 }, part = { 0 };
	int err = io->offset == 0 ? text(req, file, &fresh) : 0;

	pthread_mutex_lock(&file->lock);
	if (!err && io->offset == 0) {
		exchange(&file->text, &fresh);
		err = ipcfs_file_charge(ipcfs_of(req), file);
		if (err) /* the old text is counted */
			exchange(&file->text, &fresh);
		ipcfs_file_save(ipcfs_of(req), file);
	}
	if (!err)
		err = copy_part(file, io, &part);
	pthread_mutex_unlock(&file->lock);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, part.data, part.size);
	ipcfs_text_free(&part);
	ipcfs_text_free(&fresh);
}
