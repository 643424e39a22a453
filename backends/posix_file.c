/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "descriptor.h"
#include "identity.h"
#include "posix_file.h"

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

struct removal {
	int directory;
	const char *name;
};

/* With the caller's identity. */
static int remove_as_caller(void *arg)
{
	const struct removal *removal = arg;

	return unlinkat(removal->directory, removal->name, 0) ? -errno : 0;
}

int ipcfs_posix_file_remove(int directory, const char *name, const struct ipcfs_caller *caller)
{
	struct removal removal = { .directory = directory, .name = name };

	return ipcfs_identity_run(caller, remove_as_caller, &removal, sizeof(removal));
}

/* A descriptor that was opened with O_PATH can't be given to fchmod. */
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
};

/* With the caller's identity. */
static int change_as_caller(void *arg)
{
	const struct file_change *change = arg;
	int error = 0;

	/* The mode first: who gives an object away may change it no more. */
	if (change->mask & IPCFS_CHANGE_MODE)
		error = change_mode(change->path, change->mode);
	if (error || !(change->mask & (IPCFS_CHANGE_UID | IPCFS_CHANGE_GID)))
		return error;
	if (!fchownat(change->path, "", change->uid, change->gid, AT_EMPTY_PATH))
		return 0;
	error = -errno;
	if (change->mask & IPCFS_CHANGE_MODE) /* it was ours to change a moment ago */
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
	};
	int error = 0;

	if (wanted->mask & ~(uint32_t)(IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID))
		return -EINVAL;
	if (wanted->mask & IPCFS_CHANGE_UID)
		error = ipcfs_identity_uid(caller, wanted->uid, &change.uid);
	if (!error && wanted->mask & IPCFS_CHANGE_GID)
		error = ipcfs_identity_gid(caller, wanted->gid, &change.gid);
	return error ? error
		     : ipcfs_identity_run(caller, change_as_caller, &change, sizeof(change));
}

/* Most lists are short. A longer value may become longer still between two looks. */
static int read_value(const char *name, struct ipcfs_text *value)
{
	size_t room = 256;
	ssize_t size;

	for (;; room *= 4) {
		int error = ipcfs_text_reserve(value, room);

		if (error)
			return error;
		size = getxattr(name, IPCFS_ACL_ATTRIBUTE, value->data, room);
		if (size >= 0 || errno != ERANGE || room > XATTR_SIZE_MAX)
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
	error = read_value(fd_path(name, fd), &value);
	if (!error)
		error = ipcfs_acl_parse(acl, value.data, value.size);
	ipcfs_text_free(&value);
	return error == -ENODATA || error == -EOPNOTSUPP ? 0 : error;
}

struct list_change {
	int path;
	const struct ipcfs_acl *acl;
	struct ipcfs_text value;
};

/* With the caller's identity. */
static int set_as_caller(void *arg)
{
	const struct list_change *change = arg;
	char name[FD_PATH_SIZE];

	fd_path(name, change->path);
	if (!setxattr(name, IPCFS_ACL_ATTRIBUTE, change->value.data, change->value.size, 0))
		return 0;
	/* without lists, a mode is all there is to set */
	if (errno == EOPNOTSUPP && !ipcfs_acl_is_extended(change->acl))
		return change_mode(change->path, ipcfs_acl_mode(change->acl));
	return -errno;
}

/* The value to set: its ids are numbers of the caller's user namespace. */
static int format_for(const struct ipcfs_caller *caller, const struct ipcfs_acl *acl,
		      struct ipcfs_text *value)
{
	IPCFS_ACL_AUTO there = { 0 };
	int error = ipcfs_acl_copy(&there, acl);

	for (size_t i = 0; !error && i < there.count; i++) {
		struct ipcfs_acl_entry *entry = &there.entries[i];

		if (entry->tag == IPCFS_ACL_USER)
			error = ipcfs_identity_uid(caller, entry->id, &entry->id);
		else if (entry->tag == IPCFS_ACL_GROUP)
			error = ipcfs_identity_gid(caller, entry->id, &entry->id);
	}
	return error ? error : ipcfs_acl_format(&there, value);
}

int ipcfs_posix_file_set_acl(int path, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller)
{
	struct list_change change = { .path = path, .acl = acl };
	int error = format_for(caller, acl, &change.value);

	if (!error)
		error = ipcfs_identity_run(caller, set_as_caller, &change, sizeof(change));
	ipcfs_text_free(&change.value);
	return error;
}

int ipcfs_posix_file_watch(int directory, uint32_t events, int *watch)
{
	char name[FD_PATH_SIZE];
	int fd = *watch;

	if (directory < 0)
		return 0;
	if (fd < 0)
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (inotify_add_watch(fd, fd_path(name, directory), events | IN_ONLYDIR) < 0) {
		int error = -errno;

		if (*watch < 0)
			ipcfs_descriptor_close(&fd);
		return error;
	}
	*watch = fd;
	return 0;
}
