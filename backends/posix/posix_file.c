/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_file.h"

#define MQUEUE_MAGIC 0x19800202 /* which no header has */
#define NAME_SIZE 20	/* bytes of each name in the size of a directory of tmpfs, and of mqueue */
#define WALK_BYTES 8192 /* of directory entries that one step of a walk reads */
#define FD_PATH_SIZE (sizeof("/proc/self/fd/") + 3 * sizeof(int))

int ipcfs_posix_name_check(const char *name)
{
	if (strnlen(name, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

static const char *fd_path(char path[FD_PATH_SIZE], int fd)
{
	(void)snprintf(path, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
	return path;
}

int ipcfs_posix_file_reopen(int path, int flags)
{
	char name[FD_PATH_SIZE];
	int fd = open(fd_path(name, path), flags | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void ipcfs_posix_file_close(int handle)
{
	ipcfs_descriptor_close(&handle);
}

/* struct linux_dirent64 of getdents64(2), which no header has. */
struct entry {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/*
 * Reads the next entries. Returns their bytes; 0 at the end. By a system call, as a DIR keeps a
 * buffer of 32 KiB.
 */
static ssize_t next_entries(int directory, void *entries, size_t size)
{
	ssize_t got = syscall(SYS_getdents64, directory, entries, size);

	return got < 0 ? -errno : got;
}

int ipcfs_posix_file_walk(int directory, struct ipcfs_walk *walk,
			  int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	_Alignas(struct entry) char chunk[WALK_BYTES];
	ssize_t size;

	if (directory < 0)
		return 0;
	/* Opened anew: the position in a directory belongs to the open file. */
	if (walk->directory < 0)
		walk->directory = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (walk->directory < 0)
		return -errno;
	size = next_entries(walk->directory, chunk, sizeof(chunk));
	for (ssize_t at = 0; at < size;) {
		const struct entry *entry = (const void *)(chunk + at);
		struct ipcfs_info info = { .ref.serial = entry->d_ino };
		int result;

		at += entry->d_reclen;
		if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
			continue;
		memcpy(info.ref.name, entry->d_name, strnlen(entry->d_name, NAME_MAX));
		result = each(arg, &info);
		if (result)
			return result;
	}
	return size > 0 ? 1 : (int)size;
}

uint64_t ipcfs_posix_file_at_most(int directory)
{
	struct stat st;
	struct statfs fs;

	if (directory < 0)
		return 0;
	if (fstatfs(directory, &fs) || fstat(directory, &st) || st.st_size < NAME_SIZE ||
	    (fs.f_type != TMPFS_MAGIC && fs.f_type != MQUEUE_MAGIC))
		return UINT64_MAX;
	return (uint64_t)(st.st_size / NAME_SIZE);
}

int ipcfs_posix_file_status(const char *class, const struct ipcfs_info *info,
			    struct ipcfs_text *out)
{
	int error = ipcfs_text_pair(out, "class", class);

	if (!error)
		error = ipcfs_text_pair(out, "name", info->ref.name);
	if (!error)
		error = ipcfs_text_printf(out,
					  "inode=%llu\n"
					  "uid=%u\n"
					  "gid=%u\n"
					  "mode=0%03o\n",
					  (unsigned long long)info->ref.serial, info->perm.uid,
					  info->perm.gid, info->perm.mode);
	return error;
}

struct removal {
	int directory;
	const char *name;
};

/* Removes the file as the caller. */
static int remove_as_caller(void *arg)
{
	const struct removal *removal = arg;

	return unlinkat(removal->directory, removal->name, 0) ? -errno : 0;
}

int ipcfs_posix_file_remove(int directory, const char *name, const struct ipcfs_caller *caller)
{
	struct removal removal = { .directory = directory, .name = name };

	return ipcfs_act_as(caller, remove_as_caller, &removal, sizeof(removal));
}

/* Changes the mode of the file behind an O_PATH descriptor, which fchmod(2) does not take. */
static int change_mode(int path, mode_t mode)
{
	char name[FD_PATH_SIZE];

	return chmod(fd_path(name, path), mode & IPCFS_POSIX_MODE_BITS) ? -errno : 0;
}

struct file_change {
	int path;
	mode_t before;
	uint32_t mask;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec times[2];
};

/* Changes the file as the caller. */
static int change_as_caller(void *arg)
{
	const struct file_change *change = arg;
	char name[FD_PATH_SIZE];
	int error = 0;

	if (change->mask & IPCFS_CHANGE_TIMES)
		return utimensat(AT_FDCWD, fd_path(name, change->path), change->times, 0) ? -errno
											  : 0;
	/* The mode first: the caller may not change it any more after giving the file away. */
	if (change->mask & IPCFS_CHANGE_MODE)
		error = change_mode(change->path, change->mode);
	if (error || !(change->mask & (IPCFS_CHANGE_UID | IPCFS_CHANGE_GID)))
		return error;
	if (!fchownat(change->path, "", change->uid, change->gid, AT_EMPTY_PATH))
		return 0;
	error = -errno;
	if (change->mask & IPCFS_CHANGE_MODE) /* succeeds: the caller was the owner a moment ago */
		(void)change_mode(change->path, change->before);
	return error;
}

int ipcfs_posix_file_change(int path, mode_t mode, const struct ipcfs_change *wanted,
			    const struct ipcfs_caller *caller)
{
	struct file_change change = {
		.path = path,
		.before = mode,
		.mask = wanted->mask,
		.mode = wanted->mode,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.times = { wanted->times[0], wanted->times[1] },
	};
	int error = 0;

	if (wanted->mask & ~IPCFS_POSIX_CHANGE_FIELDS)
		return -EINVAL;
	if (wanted->mask & IPCFS_CHANGE_UID)
		error = ipcfs_act_as_uid(caller, wanted->uid, &change.uid);
	if (!error && wanted->mask & IPCFS_CHANGE_GID)
		error = ipcfs_act_as_gid(caller, wanted->gid, &change.gid);
	return error ? error : ipcfs_act_as(caller, change_as_caller, &change, sizeof(change));
}

/*
 * Reads the value of the attribute. Most values are short; a longer one may grow between two calls.
 */
static int read_acl(const char *name, struct ipcfs_text *value)
{
	size_t capacity = 256;
	ssize_t size;

	for (;; capacity *= 4) {
		int error = ipcfs_text_reserve(value, capacity);

		if (error)
			return error;
		size = getxattr(name, IPCFS_ACL_ATTRIBUTE, value->data, capacity);
		if (size >= 0 || errno != ERANGE || capacity > XATTR_SIZE_MAX)
			break;
	}
	if (size < 0)
		return -errno;
	value->size = (size_t)size;
	return 0;
}

int ipcfs_posix_file_acl(int fd, struct ipcfs_acl *acl)
{
	struct ipcfs_text value = { 0 };
	char name[FD_PATH_SIZE];
	int error;

	*acl = (struct ipcfs_acl){ 0 };
	error = read_acl(fd_path(name, fd), &value);
	if (!error)
		error = ipcfs_acl_parse(acl, value.data, value.size);
	ipcfs_text_free(&value);
	return error == -ENODATA || error == -EOPNOTSUPP ? 0 : error;
}

struct acl_change {
	int path;
	const struct ipcfs_acl *acl;
	struct ipcfs_text value;
};

/* Sets the list as the caller. */
static int set_acl_as_caller(void *arg)
{
	const struct acl_change *change = arg;
	char name[FD_PATH_SIZE];

	fd_path(name, change->path);
	if (!setxattr(name, IPCFS_ACL_ATTRIBUTE, change->value.data, change->value.size, 0))
		return 0;
	/* on a file system without lists, the mode says all of a list that is not extended */
	if (errno == EOPNOTSUPP && !ipcfs_acl_is_extended(change->acl))
		return change_mode(change->path, ipcfs_acl_mode(change->acl));
	return -errno;
}

/*
 * Formats the value to set, in which ids are numbers of the caller's user namespace.
 * -EINVAL: an id has no number there.
 * -ENOMEM.
 */
static int format_acl(const struct ipcfs_caller *caller, const struct ipcfs_acl *acl,
		      struct ipcfs_text *value)
{
	IPCFS_ACL_AUTO there = { 0 };
	int error = ipcfs_acl_copy(&there, acl);

	for (size_t i = 0; !error && i < there.count; i++) {
		struct ipcfs_acl_entry *entry = &there.entries[i];

		if (entry->tag == IPCFS_ACL_USER)
			error = ipcfs_act_as_uid(caller, entry->id, &entry->id);
		else if (entry->tag == IPCFS_ACL_GROUP)
			error = ipcfs_act_as_gid(caller, entry->id, &entry->id);
	}
	return error ? error : ipcfs_acl_format(&there, value);
}

int ipcfs_posix_file_set_acl(int path, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller)
{
	struct acl_change change = { .path = path, .acl = acl };
	int error = format_acl(caller, acl, &change.value);

	if (!error)
		error = ipcfs_act_as(caller, set_acl_as_caller, &change, sizeof(change));
	ipcfs_text_free(&change.value);
	return error;
}

int ipcfs_posix_file_watch_more(int inotify, int directory, uint32_t events)
{
	char name[FD_PATH_SIZE];
	int number = inotify_add_watch(inotify, fd_path(name, directory), events | IN_ONLYDIR);

	return number < 0 ? -errno : number;
}

int ipcfs_posix_file_watch(int directory, uint32_t events, int *watch)
{
	int fd = *watch, number;

	if (directory < 0)
		return 0;
	if (fd < 0)
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return -errno;
	number = ipcfs_posix_file_watch_more(fd, directory, events);
	if (number < 0) {
		if (*watch < 0)
			ipcfs_descriptor_close(&fd);
		return number;
	}
	*watch = fd;
	return 0;
}
