/* SPDX-License-Identifier: MIT */
#include "fs/daemon/mountpoint.h"

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
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

#define TYPE "fuse.ipcfs"

/* Dead mounts on top of each other that are cleaned up. */
#define STALE_MAX 16

/* With these flags statx(2) answers from the kernel's caches, also for a dead file system. */
#define STATX_QUIET (AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW)

/* Returns stx_mnt_id, a field that the struct of older C libraries does not name. */
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

int ipcfs_mountpoint_of(int fd, uint64_t *number, dev_t *device)
{
	struct statx info;

	if (statx(fd, "", STATX_QUIET | AT_EMPTY_PATH, 0, &info) < 0)
		return -errno;
	*number = mount_number(&info);
	*device = makedev(info.stx_dev_major, info.stx_dev_minor);
	return 0;
}

dev_t ipcfs_mountpoint_device(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	dev_t device = 0;
	uint64_t number;

	if (fd >= 0 && ipcfs_mountpoint_of(fd, &number, &device))
		device = 0;
	if (fd >= 0)
		close(fd);
	return device;
}

bool ipcfs_mountpoint_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* Unmounts with fusermount3, the set-user-id program that made an ordinary user's mount. */
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

int ipcfs_mountpoint_umount(const char *path)
{
	const int flags = MNT_DETACH | UMOUNT_NOFOLLOW;

	if (umount2(path, flags | MNT_FORCE) == 0)
		return 0;
	/* root of a user namespace may not force */
	return errno == EPERM && umount2(path, flags) == 0 ? 0 : -errno;
}

int ipcfs_mountpoint_detach(const char *path)
{
	int error = ipcfs_mountpoint_umount(path);

	if (error != -EPERM)
		return error;
	return detach_by_program(path) == 0 ? 0 : -EPERM;
}

/*
 * Tells whether the mount with this number in /proc/self/mountinfo (proc(5)) is an ipcfs, and who
 * has mounted it; (uid_t)-1: unknown.
 */
static int is_ours(uint64_t id, bool *ours, uid_t *owner)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t capacity = 0;
	int result = -ENOENT;

	if (file == NULL)
		return -errno;
	while (result < 0 && getline(&line, &capacity, file) > 0) {
		const char *type = strstr(line, " - "), *user;

		if (strtoull(line, NULL, 10) != id || type == NULL)
			continue;
		*ours = strncmp(type + 3, TYPE " ", sizeof(TYPE)) == 0;
		user = strstr(type, "user_id=");
		*owner = user ? (uid_t)strtoul(user + strlen("user_id="), NULL, 10) : (uid_t)-1;
		result = 0;
	}
	free(line);
	fclose(file);
	return result;
}

int ipcfs_mountpoint_owner(const char *path, dev_t *device, uid_t *owner)
{
	int fd = open(path, O_PATH | O_CLOEXEC), err;
	struct statx info;
	bool ours = false;

	if (fd < 0)
		return -errno;
	err = statx(fd, "", STATX_QUIET | AT_EMPTY_PATH, 0, &info) < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	if (!(info.stx_attributes & info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		return -EINVAL;
	err = is_ours(mount_number(&info), &ours, owner);
	*device = makedev(info.stx_dev_major, info.stx_dev_minor);
	return err == -ENOENT || (!err && !ours) ? -EINVAL : err;
}

/*
 * Checks what is mounted at `path`. The kernel may have cached attributes of a dead mount, so the
 * file system itself is asked. Returns
 *   1: a dead ipcfs.
 *   0: nothing that prevents mounting.
 *   A negative errno, which was logged.
 */
static int check_mounted(const char *path)
{
	struct statx info;
	bool ours = false;
	uid_t owner;
	int error;

	if (statx(AT_FDCWD, path, STATX_QUIET, 0, &info) < 0) {
		error = errno;
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error));
		return -error;
	}
	if (info.stx_attributes & info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) {
		error = is_ours(mount_number(&info), &ours, &owner);
		if (error < 0 && error != -ENOENT)
			ipcfs_log(LOG_WARNING, "/proc/self/mountinfo: %s", strerror(-error));
	}

	error = 0;
	if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_TYPE, &info) < 0)
		error = errno;
	if (ours && error == ENOTCONN)
		return 1;
	if (ours) {
		/* A dead mount of another user looks like a living one. */
		ipcfs_log(LOG_ERR, "%s: %sipcfs is mounted there already", path,
			  error == EACCES ? "another user's " : "");
		return -EBUSY;
	}
	if (error == ENOTCONN)
		ipcfs_log(LOG_ERR,
			  "%s: a dead file system of another type is mounted there; "
			  "unmount it first (umount -l)",
			  path);
	else if (error != 0)
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error));
	else if (!S_ISDIR(info.stx_mode))
		ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(error = ENOTDIR));
	return -error;
}

static int resolve(const char *path, char **real)
{
	int err;

	*real = realpath(path, NULL);
	if (*real != NULL)
		return 0;
	err = -errno;
	ipcfs_log(LOG_ERR, "mount point %s: %s", path, strerror(-err));
	return err;
}

int ipcfs_mountpoint_check(const char *path)
{
	char *real;
	int result = resolve(path, &real);

	if (result < 0)
		return result;
	result = check_mounted(real);
	free(real);
	return result < 0 ? result : 0;
}

int ipcfs_mountpoint_forbid_links(const char *path, bool read_only)
{
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC |
			      MS_NOSYMFOLLOW | (read_only ? MS_RDONLY : 0);

	return mount(NULL, path, NULL, flags, NULL) < 0 ? -errno : 0;
}

int ipcfs_mountpoint_prepare(const char *path, char **resolved)
{
	char *real;
	int result = resolve(path, &real);

	if (result < 0)
		return result;
	for (int cleared = 0; (result = check_mounted(real)) == 1; cleared++) {
		result = cleared < STALE_MAX ? ipcfs_mountpoint_detach(real) : -EBUSY;
		if (result < 0) {
			ipcfs_log(LOG_ERR,
				  "%s: a dead ipcfs is mounted there and can't be unmounted: %s",
				  real, strerror(-result));
			break;
		}
		ipcfs_log(LOG_NOTICE, "%s: unmounted a dead ipcfs", real);
	}
	if (result < 0)
		free(real);
	else
		*resolved = real;
	return result;
}
