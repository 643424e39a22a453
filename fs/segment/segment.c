/* SPDX-License-Identifier: MIT */
#include "fs/segment/segment.h"

#include <errno.h>
#include <fcntl.h>

#include "backends/contract/fault.h"
#include "fs/access/access.h"
#include "fs/base/legacy.h"
#include "fs/request/file_check.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/segment/backing.h"
#include "fs/segment/lock.h"
#include "fs/tree/charges.h"

static const struct ipcfs_segment_ops *ops_of(const struct ipcfs_filesystem *fs,
					      const struct ipcfs_file *file)
{
	return ipcfs_file_object(fs, file)->class->segment;
}

/* Opens the segment for one direction, and checks the opener. */
static int open_direction(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			  enum ipcfs_direction direction)
{
	int err;

	err = ipcfs_object_open(&fs->objects, ipcfs_file_object(fs, file), direction,
				&file->handle[direction]);
	if (err)
		return err;
	err = ipcfs_file_check(fs, file, direction, file->opener.tid);
	if (err)
		ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file), direction);
	return err;
}

/*
 * Returns the backing id that all open files of the object share, and counts one more user. With no
 * user so far it becomes `fresh`, unless that is 0. Returns 0 if the object has none.
 */
static int share_backing(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int fresh)
{
	int id = 0;

	pthread_mutex_lock(&fs->objects.lock);
	if (!object->backing.users && fresh)
		object->backing.id = fresh;
	if (object->backing.users || fresh) {
		object->backing.users++;
		id = object->backing.id;
	}
	pthread_mutex_unlock(&fs->objects.lock);
	return id;
}

/* Has the kernel drop a backing file that it got. */
static void drop_backing(struct ipcfs_filesystem *fs, int id)
{
	ipcfs_backing_close(fuse_session_fd(fs->session), id);
	ipcfs_legacy_backing_closed(fs->legacy, id);
}

/* Has the kernel read, write and map the segment without asking the daemon, if it can. */
static void open_backing(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	const struct ipcfs_segment_ops *segment = ops_of(fs, file);
	int fd, id;

	file->segment.backing = share_backing(fs, ipcfs_file_object(fs, file), 0);
	if (file->segment.backing || !fs->passthrough)
		return;
	fd = segment->backing(file->handle[file->writes ? IPCFS_SEND : IPCFS_RECEIVE]);
	if (fd < 0)
		return;
	id = ipcfs_backing_open(fuse_session_fd(fs->session), fd);
	if (id < 0) {
		if (id == -EPERM || id == -ENOTTY)
			fs->passthrough = false; /* no other file can have it either */
		return;
	}
	ipcfs_legacy_backing(fs->legacy, id);
	file->segment.backing = share_backing(fs, ipcfs_file_object(fs, file), id);
	if (file->segment.backing != id) /* another open registered one first */
		drop_backing(fs, id);
}

/* Ends the file's use of the backing id, and releases the id with its last user. */
static void close_backing(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	bool last;

	if (!file->segment.backing)
		return;
	pthread_mutex_lock(&fs->objects.lock);
	last = --ipcfs_file_object(fs, file)->backing.users == 0;
	pthread_mutex_unlock(&fs->objects.lock);
	if (last && fs->session)
		drop_backing(fs, file->segment.backing);
	file->segment.backing = 0;
}

static int segment_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_segment_ops *segment = ops_of(fs, file);
	int err = 0;

	if (file->reads)
		err = open_direction(fs, file, IPCFS_RECEIVE);
	if (!err && file->writes) {
		err = open_direction(fs, file, IPCFS_SEND);
		if (!err && (flags & O_TRUNC) && segment->resizable) {
			err = segment->resize(file->handle[IPCFS_SEND], 0);
			if (err)
				ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file),
						   IPCFS_SEND);
		}
		if (err && file->reads)
			ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file),
					   IPCFS_RECEIVE);
	}
	if (!err)
		open_backing(fs, file);
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

/* Shares the backing id that the file had in a worker before: the kernel still has it. */
static void keep_backing(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	if (file->segment.backing)
		(void)share_backing(fs, ipcfs_file_object(fs, file), file->segment.backing);
	ipcfs_legacy_backing_keep(fs->legacy, file->segment.backing);
}

/* For struct ipcfs_file_ops. */
static int segment_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	int err = 0;

	if (file->reads)
		err = ipcfs_object_open(&fs->objects, object, IPCFS_RECEIVE,
					&file->handle[IPCFS_RECEIVE]);
	if (!err && file->writes) {
		err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND,
					&file->handle[IPCFS_SEND]);
		if (err && file->reads)
			ipcfs_object_close(&fs->objects, object, IPCFS_RECEIVE);
	}
	if (!err)
		keep_backing(fs, file);
	return err;
}

static void segment_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	ipcfs_segment_unlock(fs, file);
	close_backing(fs, file);
	if (file->reads)
		ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file), IPCFS_RECEIVE);
	if (file->writes)
		ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file), IPCFS_SEND);
}

static unsigned segment_fopen_flags(struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	unsigned flags = 0; /* a close drops locks */

	if (file->segment.backing)
		flags |= IPCFS_FOPEN_PASSTHROUGH;
	/*
	 * A write must not make a segment of fixed size longer, so the daemon has to see it. The
	 * kernel still maps the backing file.
	 */
	if (!file->segment.backing || (file->writes && !ops_of(fs, file)->resizable))
		flags |= IPCFS_FOPEN_DIRECT_IO;
	return flags;
}

/*
 * Answers a READ from the memory itself. If that is truncated meanwhile, the kernel makes the
 * answer EIO. Returns false if the bytes can't be mapped: there was no answer.
 */
static bool reply_mapped(fuse_req_t req, const struct ipcfs_segment_ops *segment, int handle,
			 const struct ipcfs_io *io)
{
	struct ipcfs_mapped mapped;

	if (!segment->map || !segment->map(handle, io->size, io->offset, &mapped))
		return false;
	(void)ipcfs_fault("segment.mapped");
	ipcfs_reply_bytes(req, mapped.bytes, mapped.size);
	segment->unmap(&mapped);
	return true;
}

static void segment_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	size_t size = io->size;
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_segment_ops *segment = ops_of(fs, file);
	struct ipcfs_buffers *buffers = &fs->buffers;
	size_t done = 0;
	ssize_t got = 0;
	char *bytes;
	int err;

	err = ipcfs_file_check(fs, file, IPCFS_RECEIVE, fuse_req_ctx(req)->pid);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	if (reply_mapped(req, segment, file->handle[IPCFS_RECEIVE], io))
		return;
	bytes = ipcfs_buffers_get(buffers);
	if (!bytes) {
		ipcfs_reply_error(req, -ENOMEM);
		return;
	}
	if (size > IPCFS_BUFFER_SIZE)
		size = IPCFS_BUFFER_SIZE;
	while (done < size) {
		got = segment->read(file->handle[IPCFS_RECEIVE], bytes + done, size - done,
				    io->offset + (off_t)done);
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	if (!done && got < 0)
		ipcfs_reply_error(req, (int)got);
	else
		ipcfs_reply_bytes(req, bytes, done);
	ipcfs_buffers_put(buffers, bytes, done);
}

/*
 * Returns in *offset the end of the segment, in bytes, for a write with O_APPEND: the kernel may
 * have an outdated size. Errors of fstat in struct ipcfs_segment_ops.
 */
static int find_end(const struct ipcfs_segment_ops *segment, const struct ipcfs_file *file,
		    off_t *offset)
{
	struct ipcfs_info info;
	int err = segment->fstat(file->handle[IPCFS_SEND], &info);

	if (!err)
		*offset = (off_t)info.size;
	return err;
}

/* A request that may make memory of the segment, for which its caller pays. */
struct growing {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_file *file;
	uid_t uid;
	off_t offset;
	uint64_t size;
	bool counted;
	struct ipcfs_growth before;
};

/*
 * Counts for the caller how much memory the request may make. The daemon's own user does not pay:
 * what the daemon takes is its own.
 * -ENOMEM: the caller can't pay. Errors of growth in struct ipcfs_segment_ops.
 */
static int begin_growing(fuse_req_t req, const struct ipcfs_file *file, off_t offset, uint64_t size,
			 struct growing *growing)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	int err;

	*growing = (struct growing){
		.fs = fs,
		.file = file,
		.uid = fuse_req_ctx(req)->uid,
		.offset = offset,
		.size = size,
	};
	if (growing->uid == fs->uid)
		return 0;
	err = ops_of(fs, file)->growth(file->handle[IPCFS_SEND], offset, size, &growing->before);
	if (!err)
		err = ipcfs_charges_begin(&fs->objects, ipcfs_file_object(fs, file), growing->uid,
					  growing->before.most);
	growing->counted = !err;
	return err;
}

/* Counts how much memory the request has made. */
static void end_growing(const struct growing *growing)
{
	struct ipcfs_filesystem *fs = growing->fs;
	const struct ipcfs_file *file = growing->file;
	struct ipcfs_growth after;
	uint64_t grown = growing->before.most; /* where it can't be known */

	if (!growing->counted)
		return;
	if (!ops_of(fs, file)->growth(file->handle[IPCFS_SEND], growing->offset, growing->size,
				      &after))
		grown = after.now > growing->before.now ? after.now - growing->before.now : 0;
	if (grown > growing->before.unwritten) /* others made the rest */
		grown = growing->before.unwritten;
	ipcfs_charges_end(&fs->objects, ipcfs_file_object(fs, file), growing->uid,
			  growing->before.most, grown);
}

static void segment_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	off_t offset = io->offset;
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_segment_ops *segment = ops_of(fs, file);
	struct growing growing;
	size_t done = 0;
	ssize_t more = 0;
	int err;

	err = ipcfs_file_check(fs, file, IPCFS_SEND, fuse_req_ctx(req)->pid);
	if (!err && (io->flags & O_APPEND))
		err = find_end(segment, file, &offset);
	if (!err)
		err = begin_growing(req, file, offset, io->size, &growing);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	while (done < io->size) {
		more = segment->write(file->handle[IPCFS_SEND], io->bytes + done, io->size - done,
				      offset + (off_t)done);
		if (more <= 0)
			break;
		done += (size_t)more;
	}
	end_growing(&growing);
	ipcfs_reply_write(req, done ? 0 : (int)more, done);
}

/*
 * Reserves or frees memory in slices, as long as the caller is there.
 * -EINTR: the caller was interrupted. What was reserved or freed stays so; the size is as before.
 */
static int allocate(fuse_req_t req, const struct ipcfs_file *file, int flags, off_t offset,
		    off_t size)
{
	const struct ipcfs_segment_ops *segment = ops_of(ipcfs_of(req), file);
	off_t done;

	for (;;) {
		done = segment->allocate(file->handle[IPCFS_SEND], flags, offset, size);
		if (done < 0)
			return (int)done;
		offset += done;
		size -= done;
		if (!size)
			return 0;
		if (fuse_req_interrupted(req))
			return -EINTR;
	}
}

static int segment_allocate(fuse_req_t req, struct ipcfs_file *file, int flags, off_t offset,
			    off_t size)
{
	struct growing growing = { 0 };
	int err;

	if (!ops_of(ipcfs_of(req), file)->allocate)
		return -EOPNOTSUPP;
	err = ipcfs_file_check(ipcfs_of(req), file, IPCFS_SEND, fuse_req_ctx(req)->pid);
	if (!err && !(flags & FALLOC_FL_PUNCH_HOLE))
		err = begin_growing(req, file, offset, (uint64_t)size, &growing);
	if (err)
		return err;
	err = allocate(req, file, flags, offset, size);
	end_growing(&growing);
	return err;
}

const struct ipcfs_file_ops ipcfs_segment_file_ops = {
	.open = segment_open,
	.reopen = segment_reopen,
	.fopen_flags = segment_fopen_flags,
	.read = segment_read,
	.write = segment_write,
	.allocate = segment_allocate,
	.lock = ipcfs_segment_lock,
	.flush = ipcfs_segment_flush,
	.release = segment_release,
};

int ipcfs_segment_resize(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_file *file,
			 off_t size)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = ipcfs_node_object(fs, node);
	struct ipcfs_info info;
	int handle, err;

	if (file) {
		if (!file->writes)
			return -EINVAL; /* as ftruncate(2) */
		err = ipcfs_file_check(fs, file, IPCFS_SEND, fuse_req_ctx(req)->pid);
		return err ? err
			   : object->class->segment->resize(file->handle[IPCFS_SEND],
							    (uint64_t)size);
	}
	err = ipcfs_judge_node(req, IPCFS_AUDIT_WRITE, node, IPCFS_WANT_WRITE);
	if (err)
		return err;
	if (!object->class->segment->resizable) {
		err = object->class->stat(object->space, &object->ref, &info);
		return err || info.size == (uint64_t)size ? err : -EPERM;
	}
	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);
	if (err)
		return err == -EIDRM ? -ENOENT : err;
	err = object->class->segment->resize(handle, (uint64_t)size);
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	return err;
}
