/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues as objects: files of the mqueue file system (mq_overview(7)). A queue is
 * known by its inode number, as another queue can get its name at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "backends/contract/classes.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_file.h"
#include "backends/posix/posix_mq.h"
#include "backends/space/reference.h"

/* The text of a queue's file. */
struct queue_text {
	uint64_t bytes;
	int notify, notify_signal, notify_pid;
};

void ipcfs_posix_mq_perm(const struct stat *st, struct ipcfs_perm *perm)
{
	*perm = (struct ipcfs_perm){
		.uid = st->st_uid,
		.cuid = st->st_uid,
		.gid = st->st_gid,
		.cgid = st->st_gid,
		.mode = st->st_mode & 0777,
	};
}

/*
 * Checks that this is a queue, and has the inode number `serial`, unless that is 0.
 * -ENOENT: it is no queue.
 * -EIDRM: it has another inode number.
 */
static int check_inode(const struct stat *st, uint64_t serial)
{
	if (!S_ISREG(st->st_mode))
		return -ENOENT;
	return serial && st->st_ino != serial ? -EIDRM : 0;
}

/*
 * Opens the file of this name below /dev/mqueue, over which a user may have mounted a file system
 * that does not answer. O_PATH and AT_STATX_DONT_SYNC ask a file system nothing.
 * -ENOENT: another file system is mounted there.
 */
static int open_uncovered(int directory, const char *name, int flags)
{
	IPCFS_DESCRIPTOR_AUTO int path = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	const int quietly = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
	struct statx file, above;

	if (path < 0 || statx(directory, "", quietly, 0, &above))
		return -errno;
	if (statx(path, "", quietly, 0, &file) || file.stx_dev_major != above.stx_dev_major ||
	    file.stx_dev_minor != above.stx_dev_minor)
		return -ENOENT;
	return ipcfs_posix_file_reopen(path, flags);
}

/* Opens the file of this name. In a mount of the daemon's own nobody can mount anything. */
static int open_file(const struct ipcfs_space *space, const char *name, int flags)
{
	int fd;

	if (space->mq_mount < 0)
		return open_uncovered(space->mq, name, flags);
	fd = openat(space->mq, name, flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Reads the state of the file of this name. */
static int stat_file(const struct ipcfs_space *space, const char *name, struct stat *st)
{
	IPCFS_DESCRIPTOR_AUTO int fd = -1;

	if (space->mq_mount >= 0)
		return fstatat(space->mq, name, st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	fd = open_file(space, name, O_PATH);
	if (fd < 0)
		return fd;
	return fstat(fd, st) ? -errno : 0;
}

int ipcfs_posix_mq_open(const struct ipcfs_space *space, const char *name, uint64_t serial,
			int flags, struct stat *st)
{
	int fd, error;

	if (ipcfs_posix_name_check(name))
		return -ENOENT;
	fd = open_file(space, name, flags);
	if (fd < 0)
		return fd;
	error = fstat(fd, st) ? -errno : check_inode(st, serial);
	if (!error)
		return fd;
	ipcfs_descriptor_close(&fd);
	return error;
}

/* Reads the queue's file: "QSIZE:12 NOTIFY:0 SIGNO:0 NOTIFY_PID:0", padded with blanks. */
static int read_text(int fd, struct queue_text *text)
{
	char line[128];
	unsigned long long bytes;
	ssize_t size;

	size = pread(fd, line, sizeof(line) - 1, 0);
	if (size < 0)
		return -errno;
	line[size] = '\0';
	memset(text, 0, sizeof(*text));
	if (sscanf(line, "QSIZE:%llu NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &bytes, &text->notify,
		   &text->notify_signal, &text->notify_pid) < 1)
		return -EIO;
	text->bytes = bytes;
	return 0;
}

static void fill_info(const struct stat *st, const char *name, struct ipcfs_info *info)
{
	memset(info, 0, sizeof(*info));
	info->ref.serial = st->st_ino;
	memcpy(info->ref.name, name, strlen(name) + 1);
	ipcfs_posix_mq_perm(st, &info->perm);
	/* sending and receiving set both times; reading the text sets atime as well */
	info->atime = info->mtime = st->st_mtim;
	info->ctime = st->st_ctim;
}

static int stat_brief_name(const struct ipcfs_space *space, const char *name, uint64_t serial,
			   struct ipcfs_info *info)
{
	struct stat st;
	int error;

	if (space->mq < 0 || ipcfs_posix_name_check(name))
		return -ENOENT;
	error = stat_file(space, name, &st);
	if (error)
		return error;
	if (check_inode(&st, serial))
		return -ENOENT;
	fill_info(&st, name, info);
	return 0;
}

/* Reads the whole state of a queue. A value that the daemon may not read is 0. */
static int stat_name(const struct ipcfs_space *space, const char *name, uint64_t serial,
		     struct ipcfs_info *info)
{
	struct stat st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_mq_open(space, name, serial, O_RDONLY, &st);
	struct queue_text text;
	struct mq_attr attr;

	if (fd < 0) {
		int error = fd;

		if (error != -EACCES && error != -EPERM)
			return error == -EIDRM ? -ENOENT : error;
		return stat_brief_name(space, name, serial, info);
	}
	fill_info(&st, name, info);
	if (!mq_getattr(fd, &attr)) {
		info->messages = (uint64_t)attr.mq_curmsgs;
		info->max_message = (uint64_t)attr.mq_msgsize;
		info->max_messages = (uint64_t)attr.mq_maxmsg;
	}
	/* an empty queue has no bytes; not reading the text keeps its atime */
	if (info->messages && !read_text(fd, &text))
		info->size = text.bytes;
	return 0;
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	return stat_brief_name(space, name, 0, info);
}

static int stat_brief(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_info *info)
{
	return stat_brief_name(space, ref->name, ref->serial, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	return stat_name(space, ref->name, ref->serial, info);
}

static int walk(const struct ipcfs_space *space, struct ipcfs_walk *at,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	return ipcfs_posix_file_walk(space->mq, at, each, arg);
}

static uint64_t at_most(const struct ipcfs_space *space)
{
	return ipcfs_posix_file_at_most(space->mq);
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	int error = space->mq < 0 ? -ENOENT : ipcfs_posix_mq_make(spec, caller, limit);

	if (error || !stat_name(space, spec->name, 0, info))
		return error;
	/* the queue is made, whatever has run out; it has no messages yet */
	return stat_brief_name(space, spec->name, 0, info);
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct stat st;
	int error;

	if (ipcfs_posix_name_check(ref->name))
		return -ENOENT;
	error = stat_file(space, ref->name, &st);
	if (error)
		return error;
	if (check_inode(&st, ref->serial))
		return -ENOENT;
	return ipcfs_posix_file_remove(space->mq, ref->name, caller);
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	struct stat st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_mq_open(space, ref->name, ref->serial, O_PATH,
							   &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_change(fd, st.st_mode, wanted, caller);
}

/*
 * Reads the number of messages and their bytes, which come from two system calls: repeats until the
 * number is the same before and after.
 */
static int read_consistent(int fd, struct stat *st, struct queue_text *text, struct mq_attr *attr)
{
	for (int tries = 0; tries < 8; tries++) {
		struct mq_attr before;
		int error;

		if (mq_getattr(fd, &before))
			return -errno;
		error = read_text(fd, text);
		if (error)
			return error;
		if (fstat(fd, st) || mq_getattr(fd, attr))
			return -errno;
		if (before.mq_curmsgs == attr->mq_curmsgs)
			break;
	}
	return 0;
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	struct stat st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_mq_open(space, ref->name, ref->serial, O_RDONLY,
							   &st);
	size_t start = out->size;
	struct ipcfs_info info;
	struct queue_text text;
	struct mq_attr attr;
	int error;

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	error = read_consistent(fd, &st, &text, &attr);
	if (error)
		return error;
	fill_info(&st, ref->name, &info);
	error = ipcfs_posix_file_status("posix/mq", &info, out);
	if (!error)
		error = ipcfs_text_printf(out,
					  "messages=%ld\n"
					  "bytes=%llu\n"
					  "max_messages=%ld\n"
					  "max_message_size=%ld\n"
					  "notify=%d\n"
					  "notify_signal=%d\n"
					  "notify_pid=%d\n"
					  "last_message_time=%lld\n"
					  "change_time=%lld\n"
					  "stale=unknown\n",
					  attr.mq_curmsgs, (unsigned long long)text.bytes,
					  attr.mq_maxmsg, attr.mq_msgsize, text.notify,
					  text.notify_signal, text.notify_pid,
					  (long long)st.st_mtime, (long long)st.st_ctime);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int trace(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		 struct ipcfs_trace *trace)
{
	struct stat st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_mq_open(space, ref->name, ref->serial, O_RDONLY,
							   &st);
	struct queue_text text;
	int error;

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	error = read_text(fd, &text);
	if (error)
		return error;
	*trace = (struct ipcfs_trace){
		.device = st.st_dev,
		.inode = st.st_ino,
		.opened = true,
		.registered = text.notify_pid,
	};
	return 0;
}

static int watch(const struct ipcfs_space *space, int *watch)
{
	return ipcfs_posix_file_watch(space->mq, IN_DELETE | IN_ATTRIB, watch);
}

const struct ipcfs_class ipcfs_posix_mq = {
	.family = "posix",
	.name = "mq",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE,
	.change_fields = IPCFS_POSIX_CHANGE_FIELDS,
	.by_id = false,
	.trail = true,
	.limit = "mq_queues_max",
	.check_name = ipcfs_posix_name_check,
	.find = find,
	.stat_brief = stat_brief,
	.stat = stat_ref,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.trace = trace,
	.watch = watch,
	.queue = &ipcfs_posix_mq_queue,
};
