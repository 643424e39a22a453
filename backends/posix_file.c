/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include <unistd.h>

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

/* A descriptor that was opened with O_PATH can't be given to fchmod. */
static int change_mode(int path, mode_t mode)
{
	char name[FD_PATH_SIZE];

	return chmod(fd_path(name, path), mode & IPCFS_POSIX_MODE_BITS) ? -errno : 0;
}

static int change_as_caller(int path, mode_t mode, const struct ipcfs_change *wanted)
{
	uid_t uid = wanted->mask & IPCFS_CHANGE_UID ? wanted->uid : (uid_t)-1;
	gid_t gid = wanted->mask & IPCFS_CHANGE_GID ? wanted->gid : (gid_t)-1;
	int error = 0;

	/* The mode first: who gives an object away may change it no more. */
	if (wanted->mask & IPCFS_CHANGE_MODE)
		error = change_mode(path, wanted->mode);
	if (error || !(wanted->mask & (IPCFS_CHANGE_UID | IPCFS_CHANGE_GID)))
		return error;
	if (!fchownat(path, "", uid, gid, AT_EMPTY_PATH))
		return 0;
	error = -errno;
	if (wanted->mask & IPCFS_CHANGE_MODE)
		(void)change_mode(path, mode); /* it was ours to change a moment ago */
	return error;
}

int ipcfs_posix_file_change(int path, mode_t mode, const struct ipcfs_change *wanted,
			    const struct ipcfs_caller *caller)
{
	struct ipcfs_identity own;
	int error;

	if (wanted->mask & ~(uint32_t)(IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID))
		return -EINVAL;
	error = ipcfs_identity_take(caller, &own);
	if (error)
		return error;
	error = change_as_caller(path, mode, wanted);
	ipcfs_identity_give_back(&own);
	return error;
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

static int set_as_caller(int path, const struct ipcfs_acl *acl, const struct ipcfs_text *value)
{
	char name[FD_PATH_SIZE];

	fd_path(name, path);
	if (!setxattr(name, IPCFS_ACL_ATTRIBUTE, value->data, value->size, 0))
		return 0;
	/* without lists, a mode is all there is to set */
	if (errno == EOPNOTSUPP && !ipcfs_acl_is_extended(acl))
		return change_mode(path, ipcfs_acl_mode(acl));
	return -errno;
}

int ipcfs_posix_file_set_acl(int path, const struct ipcfs_acl *acl,
			     const struct ipcfs_caller *caller)
{
	struct ipcfs_text value = { 0 };
	struct ipcfs_identity own;
	int error;

	error = ipcfs_acl_format(acl, &value);
	if (!error)
		error = ipcfs_identity_take(caller, &own);
	if (!error) {
		error = set_as_caller(path, acl, &value);
		ipcfs_identity_give_back(&own);
	}
	ipcfs_text_free(&value);
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
