/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/posix/shm_dir.h"
#include "backends/space/reference.h"

#define STATX_FIELDS (STATX_BASIC_STATS | STATX_BTIME)

/*
 * Of a name below /dev/shm, over which any user may have mounted a file system that does not
 * answer: with AT_STATX_DONT_SYNC the kernel answers from its memory. See "/dev/shm" in
 * docs/security.md.
 */
#define QUIETLY (AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC)

static int check_file(const struct ipcfs_space *space, const struct statx *st)
{
	/* a file of another file system may be mounted over this name */
	if (makedev(st->stx_dev_major, st->stx_dev_minor) != space->shm_device)
		return -ENOENT;
	return S_ISREG(st->stx_mode) ? 0 : -ENOENT;
}

/*
 * Returns errno where the daemon lacks something; -ENOENT for every other error, as a file that
 * can't be looked at is mounted there, or gone.
 */
static int own_error(void)
{
	return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : -ENOENT;
}

int ipcfs_shm_dir_stat(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	if (space->shm < 0 || ipcfs_posix_name_check(name))
		return -ENOENT;
	if (statx(space->shm, name, QUIETLY, STATX_FIELDS, st))
		return own_error();
	return check_file(space, st);
}

int ipcfs_shm_dir_fstat(int fd, struct statx *st)
{
	return statx(fd, "", AT_EMPTY_PATH | QUIETLY, STATX_FIELDS, st) ? -errno : 0;
}

int ipcfs_shm_dir_find(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	int fd, error;

	if (space->shm < 0 || ipcfs_posix_name_check(name))
		return -ENOENT;
	fd = openat(space->shm, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return own_error();
	error = ipcfs_shm_dir_fstat(fd, st) ? own_error() : check_file(space, st);
	if (!error)
		return fd;
	ipcfs_descriptor_close(&fd);
	return error;
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
 * Returns a hash of what tells a file from another one with the same inode number: its name, as a
 * file may have several names that are removed one by one, and its time of birth, as inode numbers
 * are used again. Few kernels before 6.0 know the latter on a tmpfs.
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

void ipcfs_shm_dir_trace(const struct statx *st, struct ipcfs_trace *trace)
{
	*trace = (struct ipcfs_trace){
		.device = makedev(st->stx_dev_major, st->stx_dev_minor),
		.inode = st->stx_ino,
		.opened = true,
		.mapped = true,
	};
}

int ipcfs_shm_dir_status_times(const struct ipcfs_info *info, struct ipcfs_text *out)
{
	return ipcfs_text_printf(out,
				 "access_time=%lld\n"
				 "modify_time=%lld\n"
				 "change_time=%lld\n"
				 "stale=unknown\n",
				 (long long)info->atime.tv_sec, (long long)info->mtime.tv_sec,
				 (long long)info->ctime.tv_sec);
}
