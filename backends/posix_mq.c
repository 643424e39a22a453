/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues as objects: files of the mqueue file system. One is known by its inode
 * number; its name may be given to another at any time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "descriptor.h"
#include "kinds.h"
#include "posix_file.h"
#include "posix_mq.h"
#include "space.h"

/* What reading a queue's file tells. */
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

/* Is this a queue, and the one that is meant? */
static int check_inode(const struct stat *st, uint64_t serial)
{
	if (!S_ISREG(st->st_mode))
		return -ENOENT;
	return serial && st->st_ino != serial ? -EIDRM : 0;
}

int ipcfs_posix_mq_open(const struct ipcfs_space *space, const char *name, uint64_t serial,
			int flags, struct stat *st)
{
	int fd, error;

	if (ipcfs_posix_name_check(name))
		return -ENOENT;
	fd = openat(space->mq, name, flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	error = fstat(fd, st) ? -errno : check_inode(st, serial);
	if (!error)
		return fd;
	ipcfs_descriptor_close(&fd);
	return error;
}

/* The file says QSIZE:12 NOTIFY:0 SIGNO:0 NOTIFY_PID:0, padded with blanks. */
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
	/* the kernel sets both at a send and a receive, but atime at each look at the text, too */
	info->atime = info->mtime = st->st_mtim;
	info->ctime = st->st_ctim;
}

static int glance_at(const struct ipcfs_space *space, const char *name, uint64_t serial,
		     struct ipcfs_info *info)
{
	struct stat st;

	if (ipcfs_posix_name_check(name))
		return -ENOENT;
	if (fstatat(space->mq, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (check_inode(&st, serial))
		return -ENOENT;
	fill_info(&st, name, info);
	return 0;
}

/* One look at the queue of this name; without what has to be read where we may not read it. */
static int sample(const struct ipcfs_space *space, const char *name, uint64_t serial,
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
		return glance_at(space, name, serial, info);
	}
	fill_info(&st, name, info);
	if (!mq_getattr(fd, &attr)) {
		info->messages = (uint64_t)attr.mq_curmsgs;
		info->max_message = (uint64_t)attr.mq_msgsize;
	}
	/* reading sets the queue's times: only where there is something to learn */
	if (info->messages && !read_text(fd, &text))
		info->size = text.bytes;
	return 0;
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	return glance_at(space, name, 0, info);
}

static int glance(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_info *info)
{
	return glance_at(space, ref->name, ref->serial, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	return sample(space, ref->name, ref->serial, info);
}

static int list_entries(const struct ipcfs_space *space, DIR *directory,
			int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	for (;;) {
		struct ipcfs_info info;
		struct dirent *entry;
		int result;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return -errno;
		result = sample(space, entry->d_name, 0, &info);
		if (result == -ENOENT) /* also "." and ".." */
			continue;
		if (!result)
			result = each(arg, &info);
		if (result)
			return result;
	}
}

static int list(const struct ipcfs_space *space,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	/* Opened anew: the position in a directory belongs to its open file. */
	int fd = openat(space->mq, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory;
	int result;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		result = -errno;
		ipcfs_descriptor_close(&fd);
		return result;
	}
	result = list_entries(space, directory, each, arg);
	(void)closedir(directory);
	return result;
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	int error = ipcfs_posix_mq_make(spec, caller, limit);

	return error ? error : sample(space, spec->name, 0, info);
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct stat st;

	if (ipcfs_posix_name_check(ref->name))
		return -ENOENT;
	if (fstatat(space->mq, ref->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
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

/* The count of messages and their bytes come from two calls: repeat until they belong together. */
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
	struct queue_text text;
	struct mq_attr attr;
	int error;

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	error = read_consistent(fd, &st, &text, &attr);
	if (error)
		return error;
	error = ipcfs_text_pair(out, "class", "posix/mq");
	if (!error)
		error = ipcfs_text_pair(out, "name", ref->name);
	if (!error)
		error = ipcfs_text_printf(out,
					  "inode=%llu\n"
					  "uid=%u\n"
					  "gid=%u\n"
					  "mode=0%03o\n"
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
					  (unsigned long long)st.st_ino, st.st_uid, st.st_gid,
					  st.st_mode & 0777, attr.mq_curmsgs,
					  (unsigned long long)text.bytes, attr.mq_maxmsg,
					  attr.mq_msgsize, text.notify, text.notify_signal,
					  text.notify_pid, (long long)st.st_mtime,
					  (long long)st.st_ctime);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int watch(const struct ipcfs_space *space, int *watch)
{
	return ipcfs_posix_file_watch(space->mq, IN_DELETE | IN_ATTRIB, watch);
}

const struct ipcfs_backend ipcfs_posix_mq = {
	.family = "posix",
	.class_name = "mq",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = false,
	.check_name = ipcfs_posix_name_check,
	.find = find,
	.glance = glance,
	.stat = stat_ref,
	.list = list,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.watch = watch,
	.queue = &ipcfs_posix_mq_queue,
};
