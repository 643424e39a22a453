/* SPDX-License-Identifier: MIT */
/* Open files: each request is handled by the operations of the file's group. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "fs/access/caller.h"
#include "fs/ops/file_groups.h"
#include "fs/ops/ops.h"
#include "fs/request/audit_event.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/tree/attr.h"

static const struct ipcfs_file_ops *ops_of(const struct ipcfs_file *file)
{
	return ipcfs_ops_of(file->key.kind);
}

/* Returns IPCFS_FOPEN_* for the answer to an open. */
static unsigned fopen_flags(struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	unsigned flags = ops_of(file)->fopen_flags ? ops_of(file)->fopen_flags(fs, file) : 0;

	if (flags)
		return flags;
	flags = IPCFS_FOPEN_DIRECT_IO;
	/* A re-exporter knows pread(2) and pwrite(2) only. The reads and writes ignore offsets. */
	if (ipcfs_file_has(file, IPCFS_FILE_STREAM) && !fs->reexport)
		flags |= IPCFS_FOPEN_NONSEEKABLE | IPCFS_FOPEN_STREAM;
	/* Of readers that the daemon does not see, only their closes tell one from the next. */
	if (!ipcfs_file_has(file, IPCFS_FILE_CLOSE_COMPLETES) ||
	    (!file->writes && file->opener.tid))
		flags |= IPCFS_FOPEN_NOFLUSH;
	return flags;
}

void ipcfs_file_close(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	if (ops_of(file)->release)
		ops_of(file)->release(fs, file);
	ipcfs_file_free(fs, file);
}

/*
 * Tells whether the open may be that of fusermount3, which lets a user mount on each file that the
 * user may write. It never truncates, as most other writers do.
 */
static bool is_to_mount(fuse_req_t req, const struct ipcfs_file *file, int flags)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return file->writes && !(flags & O_TRUNC) &&
	       ipcfs_caller_stands_in(context->pid, context->uid);
}

void ipcfs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_file *file = ipcfs_file_of_request(fs, ino);
	int err;

	if (file) { /* a worker before has opened it, and may have answered */
		(void)ipcfs_reply_open(req, file, fopen_flags(fs, file));
		return;
	}
	err = node && S_ISREG(ipcfs_attr_type(&node->key))
		      ? ipcfs_file_new(fs, req, node, fi->flags, &file)
		      : -ESTALE;
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	err = is_to_mount(req, file, fi->flags) ? -EACCES
						: ops_of(file)->open(req, file, fi->flags);
	if (err != -ERESTART) /* else the request comes again */
		ipcfs_audit_event_open(fs, file, err);
	file->opened = true;
	if (!err && ipcfs_file_charge(fs, file)) { /* the opener has many groups */
		ipcfs_file_close(fs, file);
		ipcfs_reply_error(req, -ENOMEM);
		return;
	}
	if (err) {
		ipcfs_file_free(fs, file);
		ipcfs_reply_error(req, err);
	} else if (file->writes && ipcfs_file_has(file, IPCFS_FILE_OPEN_TAKES)) {
		ops_of(file)->take(req, file, fi->flags);
	} else {
		ipcfs_file_save(fs, file);
		if (ipcfs_reply_open(req, file, fopen_flags(fs, file)) == -ENOENT)
			ipcfs_file_close(fs, file);
	}
}

/* Returns the open file of a request. NULL: there is no such file, and the request is answered. */
static struct ipcfs_file *file_of(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
	struct ipcfs_file *file = ipcfs_file_at(ipcfs_of(req), fi->fh, ino, false);

	if (!file)
		ipcfs_reply_error(req, -ESTALE);
	return file;
}

/*
 * Returns the open file of a request, if its opener is still on the whitelist. NULL: it is not, or
 * there is no such file, and the request is answered.
 */
static struct ipcfs_file *admitted_file_of(fuse_req_t req, fuse_ino_t ino,
					   const struct fuse_file_info *fi)
{
	struct ipcfs_file *file = file_of(req, ino, fi);
	int err = file ? ipcfs_file_admitted(ipcfs_of(req), file, fuse_req_ctx(req)->pid) : 0;

	if (err)
		ipcfs_reply_error(req, err);
	return err ? NULL : file;
}

static void give_bytes(fuse_req_t req, int64_t result, const struct ipcfs_text *bytes)
{
	if (result && !bytes->size) /* another read has its place */
		ipcfs_reply_error(req, -EIO);
	else
		ipcfs_reply_bytes(req, bytes->data, bytes->size);
}

static void tell_written(fuse_req_t req, int64_t result, const struct ipcfs_text *none)
{
	(void)none;
	ipcfs_reply_write(req, 0, (size_t)result);
}

static void tell_closed(fuse_req_t req, int64_t result, const struct ipcfs_text *none)
{
	(void)result, (void)none;
	ipcfs_reply_error(req, 0);
}

/*
 * Answers a request of a worker before, if that is all there is to do; by `give` if it had
 * succeeded. Returns whether it did.
 */
static bool answer_again(fuse_req_t req, struct ipcfs_file *file,
			 void (*give)(fuse_req_t req, int64_t result,
				      const struct ipcfs_text *bytes))
{
	struct ipcfs_text bytes;
	int64_t result;

	if (!ipcfs_file_was_done(file, &result, &bytes))
		return false;
	if (result < 0)
		ipcfs_reply_error(req, (int)result);
	else
		give(req, result, &bytes);
	ipcfs_text_free(&bytes);
	return true;
}

void ipcfs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	struct ipcfs_file *file = admitted_file_of(req, ino, fi);
	const struct ipcfs_io io = {
		.size = size,
		.offset = offset,
		.flags = fi->flags,
		.owner = fi->lock_owner,
	};

	if (!file || answer_again(req, file, give_bytes))
		return;
	if (!file->reads) /* the kernel refuses it before */
		ipcfs_reply_error(req, -EBADF);
	else if (size == 0)
		ipcfs_reply_bytes(req, NULL, 0);
	else if (fi->lock_owner == 0) /* sendfile(2): the page cache would keep the bytes */
		ipcfs_reply_error(req, -EINVAL);
	else
		ops_of(file)->read(req, file, &io);
}

void ipcfs_op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct ipcfs_file *file = admitted_file_of(req, ino, fi);
	const struct ipcfs_io io = {
		.bytes = bytes,
		.size = size,
		.offset = offset,
		.flags = fi->flags,
		.owner = fi->lock_owner,
	};

	if (!file || answer_again(req, file, tell_written))
		return;
	if (!file->writes) /* the kernel refuses it before */
		ipcfs_reply_error(req, -EBADF);
	else
		ops_of(file)->write(req, file, &io);
}

void ipcfs_op_fallocate(fuse_req_t req, fuse_ino_t ino, int flags, off_t offset, off_t size,
			struct fuse_file_info *fi)
{
	struct ipcfs_file *file = admitted_file_of(req, ino, fi);

	if (!file)
		return;
	ipcfs_reply_error(req, file->writes && ops_of(file)->allocate
				       ? ops_of(file)->allocate(req, file, flags, offset, size)
				       : -EOPNOTSUPP);
}

/* Answers a request for a lock. */
static void serve_lock(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi,
		       struct ipcfs_lock *wanted, enum ipcfs_lock_request request)
{
	struct ipcfs_file *file = request == IPCFS_LOCK_DROP ? file_of(req, ino, fi)
							     : admitted_file_of(req, ino, fi);

	if (!file)
		return;
	wanted->owner = fi->lock_owner;
	wanted->file = file->number;
	if (ops_of(file)->lock)
		ops_of(file)->lock(req, file, wanted, request);
	else
		ipcfs_reply_error(req, -EOPNOTSUPP);
}

/* Returns a lock of fcntl(2), but for its owner. */
static struct ipcfs_lock lock_of(const struct flock *lock)
{
	return (struct ipcfs_lock){
		.exclusive = lock->l_type == F_WRLCK,
		.start = lock->l_start,
		.end = lock->l_len ? lock->l_start + lock->l_len - 1 : IPCFS_LOCK_END,
		.pid = lock->l_pid,
	};
}

void ipcfs_op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct ipcfs_lock wanted = lock_of(lock);

	serve_lock(req, ino, fi, &wanted, IPCFS_LOCK_TEST);
}

void ipcfs_op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		    int wait)
{
	struct ipcfs_lock wanted = lock_of(lock);
	enum ipcfs_lock_request request = wait ? IPCFS_LOCK_WAIT : IPCFS_LOCK_TRY;

	serve_lock(req, ino, fi, &wanted, lock->l_type == F_UNLCK ? IPCFS_LOCK_DROP : request);
}

void ipcfs_op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int operation)
{
	struct ipcfs_lock wanted = {
		.flock = true,
		.exclusive = operation & LOCK_EX,
		.end = IPCFS_LOCK_END,
		.pid = fuse_req_ctx(req)->pid,
	};
	enum ipcfs_lock_request request = operation & LOCK_NB ? IPCFS_LOCK_TRY : IPCFS_LOCK_WAIT;

	serve_lock(req, ino, fi, &wanted, operation & LOCK_UN ? IPCFS_LOCK_DROP : request);
}

void ipcfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_file *file = file_of(req, ino, fi);

	if (!file || answer_again(req, file, tell_closed))
		return;
	if (ops_of(file)->flush)
		ops_of(file)->flush(req, file, fi->lock_owner);
	else
		ipcfs_reply_error(req, 0);
}

void ipcfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_file *file = ipcfs_file_at(fs, fi->fh, ino, false);

	if (file)
		ipcfs_file_close(fs, file);
	ipcfs_reply_error(req, 0);
}

void ipcfs_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		   struct fuse_pollhandle *handle)
{
	struct ipcfs_file *file = file_of(req, ino, fi);

	if (file && ops_of(file)->poll) {
		ops_of(file)->poll(req, file, fi->poll_events, handle);
		return;
	}
	if (handle)
		fuse_pollhandle_destroy(handle);
	if (file)
		fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}
