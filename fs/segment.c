/* SPDX-License-Identifier: MIT */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>

#include "access.h"
#include "backing.h"
#include "ops.h"
#include "reply.h"

static int open_direction(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
			  enum ipcfs_direction direction)
{
	int err;

	err = ipcfs_object_open(&fs->objects, open->object, direction, &open->handle[direction]);
	if (err)
		return err;
	err = ipcfs_open_check(fs, open, direction, open->opener.tid);
	if (err)
		ipcfs_object_close(&fs->objects, open->object, direction);
	return err;
}

/* The one that all open files of the object use; 0: none. */
static int backing_in_use(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int fresh)
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

/* Let the kernel read, write and map in our place, where it can. */
static void open_backing(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	const struct ipcfs_segment_ops *segment = open->object->class->segment;
	int fd, id;

	open->backing = backing_in_use(fs, open->object, 0);
	if (open->backing || !fs->passthrough)
		return;
	fd = segment->backing(open->handle[open->writes ? IPCFS_SEND : IPCFS_RECEIVE]);
	if (fd < 0)
		return;
	id = ipcfs_backing_open(fuse_session_fd(fs->session), fd);
	if (id < 0) {
		if (id == -EPERM || id == -ENOTTY)
			fs->passthrough = false; /* that won't change */
		return;
	}
	open->backing = backing_in_use(fs, open->object, id);
	if (open->backing != id) /* somebody was faster */
		ipcfs_backing_close(fuse_session_fd(fs->session), id);
}

static void close_backing(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	bool last;

	if (!open->backing)
		return;
	pthread_mutex_lock(&fs->objects.lock);
	last = --open->object->backing.users == 0;
	pthread_mutex_unlock(&fs->objects.lock);
	if (last && fs->session)
		ipcfs_backing_close(fuse_session_fd(fs->session), open->backing);
	open->backing = 0;
}

int ipcfs_segment_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open, int flags)
{
	const struct ipcfs_segment_ops *segment = open->object->class->segment;
	int err = 0;

	if (open->reads)
		err = open_direction(fs, open, IPCFS_RECEIVE);
	if (!err && open->writes) {
		err = open_direction(fs, open, IPCFS_SEND);
		if (!err && (flags & O_TRUNC) && segment->resizable) {
			err = segment->resize(open->handle[IPCFS_SEND], 0);
			if (err)
				ipcfs_object_close(&fs->objects, open->object, IPCFS_SEND);
		}
		if (err && open->reads)
			ipcfs_object_close(&fs->objects, open->object, IPCFS_RECEIVE);
	}
	if (!err)
		open_backing(fs, open);
	return err == -EIDRM || err == -ENOENT ? -ESTALE : err;
}

void ipcfs_segment_release(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	close_backing(fs, open);
	if (open->reads)
		ipcfs_object_close(&fs->objects, open->object, IPCFS_RECEIVE);
	if (open->writes)
		ipcfs_object_close(&fs->objects, open->object, IPCFS_SEND);
}

unsigned ipcfs_segment_flags(const struct ipcfs_open *open)
{
	unsigned flags = IPCFS_OPEN_NOFLUSH;

	if (open->backing)
		flags |= IPCFS_OPEN_PASSTHROUGH;
	/* Nobody may write a segment longer than it is, so writes come here; mappings still don't. */
	if (!open->backing || (open->writes && !open->object->class->segment->resizable))
		flags |= IPCFS_OPEN_DIRECT_IO;
	return flags;
}

void ipcfs_segment_read(fuse_req_t req, struct ipcfs_open *open, size_t size, off_t offset)
{
	const struct ipcfs_segment_ops *segment = open->object->class->segment;
	struct ipcfs_buffers *buffers = &ipcfs_of(req)->buffers;
	size_t done = 0;
	ssize_t got = 0;
	char *bytes;
	int err;

	err = ipcfs_open_check(ipcfs_of(req), open, IPCFS_RECEIVE, fuse_req_ctx(req)->pid);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	bytes = ipcfs_buffers_get(buffers);
	if (!bytes) {
		ipcfs_reply_error(req, -ENOMEM);
		return;
	}
	if (size > IPCFS_BUFFER_SIZE)
		size = IPCFS_BUFFER_SIZE;
	while (done < size) {
		got = segment->read(open->handle[IPCFS_RECEIVE], bytes + done, size - done,
				    offset + (off_t)done);
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

/* Where a write goes: O_APPEND means the end as it is now, not as the kernel believes it to be. */
static int find_end(const struct ipcfs_open *open, off_t *offset)
{
	struct ipcfs_info info;
	int err = open->object->class->segment->look(open->handle[IPCFS_SEND], &info);

	if (!err)
		*offset = (off_t)info.size;
	return err;
}

void ipcfs_segment_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size,
			 off_t offset, int flags)
{
	const struct ipcfs_segment_ops *segment = open->object->class->segment;
	size_t done = 0;
	ssize_t more = 0;
	int err;

	err = ipcfs_open_check(ipcfs_of(req), open, IPCFS_SEND, fuse_req_ctx(req)->pid);
	if (!err && (flags & O_APPEND))
		err = find_end(open, &offset);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	while (done < size) {
		more = segment->write(open->handle[IPCFS_SEND], bytes + done, size - done,
				      offset + (off_t)done);
		if (more <= 0)
			break;
		done += (size_t)more;
	}
	if (!done && more < 0)
		ipcfs_reply_error(req, (int)more);
	else
		ipcfs_reply_count(req, done);
}

int ipcfs_segment_resize(fuse_req_t req, const struct ipcfs_node *node, struct ipcfs_open *open,
			 off_t size)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_object *object = node->key.object;
	struct ipcfs_info info;
	int handle, err;

	if (open) {
		if (!open->writes)
			return -EINVAL; /* as ftruncate(2) */
		err = ipcfs_open_check(fs, open, IPCFS_SEND, fuse_req_ctx(req)->pid);
		return err ? err
			   : object->class->segment->resize(open->handle[IPCFS_SEND],
							    (uint64_t)size);
	}
	err = ipcfs_op_judge(req, IPCFS_AUDIT_WRITE, node, IPCFS_WANT_WRITE);
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
