/* SPDX-License-Identifier: MIT */
#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "explain.h"
#include "log.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

#define TYPE "fuse.ipcfs"
#define DEVICE "/dev/fuse"

/* More dead mounts on top of each other than this are not ours to clean up. */
#define STALE_MAX 16

/* With these statx(2) answers from what the kernel knows, be the file system dead or silent. */
#define STATX_QUIET (AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW)

/* stx_mnt_id, for which not every C library's struct has a name; it is where the kernel puts it. */
static uint64_t mount_number(const struct statx *info)
{
	uint64_t number;

	_Static_assert(sizeof(*info) == 256, "the kernel's struct statx");
	memcpy(&number, (const char *)info + 0x90, sizeof(number));
	return number;
}

uint64_t ipcfs_mountpoint_id(const char *path)
{
	struct statx info;

	if (statx(AT_FDCWD, path, STATX_QUIET, STATX_MNT_ID_UNIQUE, &info) < 0)
		return 0;
	return info.stx_mask & STATX_MNT_ID_UNIQUE ? mount_number(&info) : 0;
}

bool ipcfs_mountpoint_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* An ordinary user's mount can only be taken off by the set-user-id program that made it. */
static int detach_by_program(const char *path)
{
	const char *const argv[] = { "fusermount3", "-u", "-q", "-z", "--", path, NULL };
	pid_t child;
	int status = 0, error;

	error = posix_spawnp(&child, argv[0], NULL, NULL, (char *const *)argv, environ);
	if (error != 0)
		return -error;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int ipcfs_mountpoint_detach(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return detach_by_program(path) == 0 ? 0 : -EPERM;
}

/* Is the mount of this number (as in proc(5), mountinfo) of our type? */
static int is_ours(uint64_t id, bool *ours)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	int result = -ENOENT;

	if (file == NULL)
		return -errno;
	while (result < 0 && getline(&line, &room, file) > 0) {
		const char *type = strstr(line, " - ");

		if (strtoull(line, NULL, 10) != id || type == NULL)
			continue;
		*ours = strncmp(type + 3, TYPE " ", sizeof(TYPE)) == 0;
		result = 0;
	}
	free(line);
	fclose(file);
	return result;
}

/*
 * Look at what is mounted at `path`. 1: something dead of ours. 0: nothing that hinders. Negative
 * errno: what hinders, logged. The root's attributes may be cached by a dead mount: insist.
 */
static int look(const char *path)
{
	struct statx info;
	bool ours = false;
	int error;

	if (statx(AT_FDCWD, path, STATX_QUIET, 0, &info) < 0) {
		error = errno;
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error));
		return -error;
	}
	if (info.stx_attributes & info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) {
		error = is_ours(mount_number(&info), &ours);
		if (error < 0 && error != -ENOENT)
			ipcfs_log(LOG_WARNING, "/proc/self/mountinfo: %s", strerror(-error));
	}

	error = 0;
	if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_TYPE, &info) < 0)
		error = errno;
	if (ours && error == ENOTCONN)
		return 1;
	if (ours) {
		/* Whether another user's mount is dead can't be seen. */
		ipcfs_log(LOG_ERR, "%s: %sipcfs is mounted there already", path,
			  error == EACCES ? "another user's " : "");
		return -EBUSY;
	}
	if (error == ENOTCONN)
		ipcfs_log(LOG_ERR,
			  "%s: a dead file system of another kind is mounted there; "
			  "take it off first (umount -l)",
			  path);
	else if (error != 0)
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error));
	else if (!S_ISDIR(info.stx_mode))
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error = ENOTDIR));
	return -error;
}

int ipcfs_mountpoint_prepare(const char *path, char **resolved)
{
	char *real = realpath(path, NULL);
	int result;

	if (real == NULL) {
		result = -errno;
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(-result));
		return result;
	}
	for (int cleared = 0; (result = look(real)) == 1; cleared++) {
		result = cleared < STALE_MAX ? ipcfs_mountpoint_detach(real) : -EBUSY;
		if (result < 0) {
			ipcfs_log(LOG_ERR,
				  "%s: a dead ipcfs is mounted there and can't be taken "
				  "off: %s",
				  real, strerror(-result));
			break;
		}
		ipcfs_log(LOG_NOTICE, "%s: took off a dead ipcfs mount", real);
	}
	if (result < 0)
		free(real);
	else
		*resolved = real;
	return result;
}

int ipcfs_mountpoint_check_device(void)
{
	int device = open(DEVICE, O_RDWR | O_CLOEXEC);
	int error = errno;

	if (device >= 0) {
		close(device);
		return 0;
	}
	ipcfs_explain_device(error);
	return -error;
}
