/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "descriptor.h"
#include "posix_file.h"
#include "shm_dir.h"
#include "space.h"

#define LOOK_MASK (STATX_BASIC_STATS | STATX_BTIME)

int ipcfs_shm_dir_check(int fd, dev_t *device)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC || fstat(fd, &st))
		return -ENOENT;
	*device = st.st_dev;
	return 0;
}

int ipcfs_shm_dir_open(dev_t *device)
{
	int fd = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && ipcfs_shm_dir_check(fd, device))
		ipcfs_descriptor_close(&fd);
	return fd;
}

static int check_file(const struct ipcfs_space *space, const struct statx *st)
{
	/* Somebody may have mounted a file over one of ours. */
	if (makedev(st->stx_dev_major, st->stx_dev_minor) != space->shm_device)
		return -ENOENT;
	return S_ISREG(st->stx_mode) ? 0 : -ENOENT;
}

int ipcfs_shm_dir_look(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	if (space->shm < 0 || ipcfs_posix_name_check(name))
		return -ENOENT;
	if (statx(space->shm, name, AT_SYMLINK_NOFOLLOW, LOOK_MASK, st))
		return -errno;
	return check_file(space, st);
}

int ipcfs_shm_dir_look_at(int fd, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH, LOOK_MASK, st) ? -errno : 0;
}

int ipcfs_shm_dir_find(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	int fd, error;

	if (space->shm < 0 || ipcfs_posix_name_check(name))
		return -ENOENT;
	fd = openat(space->shm, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = ipcfs_shm_dir_look_at(fd, st);
	if (!error)
		error = check_file(space, st);
	if (!error)
		return fd;
	ipcfs_descriptor_close(&fd);
	return error;
}

static int list_entries(const struct ipcfs_space *space, DIR *directory,
			int (*each)(void *arg, const char *name, const struct statx *st), void *arg)
{
	for (;;) {
		struct dirent *entry;
		struct statx st;
		int result;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return -errno;
		result = ipcfs_shm_dir_look(space, entry->d_name, &st);
		if (result == -ENOENT) /* also "." and ".." */
			continue;
		if (!result)
			result = each(arg, entry->d_name, &st);
		if (result)
			return result;
	}
}

int ipcfs_shm_dir_list(const struct ipcfs_space *space,
		       int (*each)(void *arg, const char *name, const struct statx *st), void *arg)
{
	DIR *directory;
	int fd, result;

	if (space->shm < 0)
		return 0;
	/* Opened anew: the position in a directory belongs to its open file. */
	fd = openat(space->shm, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

int ipcfs_shm_dir_make(const struct ipcfs_space *space, mode_t mode)
{
	int fd, error;

	if (space->shm < 0)
		return -ENOENT;
	fd = openat(space->shm, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode & IPCFS_POSIX_MODE_BITS);
	if (fd < 0)
		return -errno;
	if (!fchmod(fd, mode & IPCFS_POSIX_MODE_BITS))
		return fd;
	error = -errno;
	ipcfs_descriptor_close(&fd);
	return error;
}

int ipcfs_shm_dir_name(const struct ipcfs_space *space, int fd, const char *name)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, space->shm, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/*
 * Inode numbers may be used again, so the time of birth (which few kernels before 6.0 know) counts
 * as well; and the name, since one file can have several, each of which may go.
 */
static uint32_t fingerprint(const char *name, const struct statx *st)
{
	uint64_t hash = 0xcbf29ce484222325;

	if (st->stx_mask & STATX_BTIME)
		hash ^= (uint64_t)st->stx_btime.tv_sec * 1000000000 + st->stx_btime.tv_nsec;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return (uint32_t)(hash ^ hash >> 32);
}

void ipcfs_shm_dir_ref(const char *name, const struct statx *st, struct ipcfs_ref *ref)
{
	ref->serial = st->stx_ino;
	ref->key = fingerprint(name, st);
	memset(ref->name, 0, sizeof(ref->name));
	memcpy(ref->name, name, strlen(name));
}

bool ipcfs_shm_dir_same(const struct ipcfs_ref *ref, const struct statx *st)
{
	return ref->serial == st->stx_ino && ref->key == fingerprint(ref->name, st);
}

void ipcfs_shm_dir_perm(const struct statx *st, struct ipcfs_perm *perm)
{
	*perm = (struct ipcfs_perm){
		.uid = st->stx_uid,
		.cuid = st->stx_uid,
		.gid = st->stx_gid,
		.cgid = st->stx_gid,
		.mode = st->stx_mode & 0777,
	};
}

static struct timespec timespec_of(const struct statx_timestamp *from)
{
	return (struct timespec){ .tv_sec = from->tv_sec, .tv_nsec = from->tv_nsec };
}

void ipcfs_shm_dir_fill(const struct statx *st, struct ipcfs_info *info)
{
	ipcfs_shm_dir_perm(st, &info->perm);
	info->atime = timespec_of(&st->stx_atime);
	info->mtime = timespec_of(&st->stx_mtime);
	info->ctime = timespec_of(&st->stx_ctime);
}
