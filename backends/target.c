/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "descriptor.h"
#include "shm_dir.h"
#include "target.h"

#define FILE_ROOM 2048 /* more than what is looked for in files of /proc is away from their start */
#define LOOKS_MAX 64
#define FOR_ALL 01777 /* the mode of /dev/shm everywhere */
#define SEEN_BY_ALL 0755

/* <linux/sched.h> of the kernel: part of the stat file's format, but in no header for programs. */
#define PF_KTHREAD 0x00200000

static bool has_ended(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 1;
}

/* /proc may be that of another pid namespace. The number it knows the process by, or a negative errno. */
static int number_in_proc(int pidfd)
{
	char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)], text[FILE_ROOM];
	const char *line;
	ssize_t size;
	int number;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	size = ipcfs_descriptor_read_path(path, text, sizeof(text));
	if (size < 0)
		return (int)size;
	line = strstr(text, "\nPid:");
	if (!line || sscanf(line, "\nPid: %d", &number) != 1)
		return -ENOENT;
	if (number == 0)
		return -ENOENT;
	return number < 0 ? -ESRCH : number;
}

static int open_proc(struct ipcfs_target *target)
{
	char path[sizeof("/proc/") + 3 * sizeof(int)];
	int number = number_in_proc(target->pidfd), error = 0;

	if (number < 0)
		return number;
	(void)snprintf(path, sizeof(path), "/proc/%d", number);
	target->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->proc < 0)
		error = -errno;
	/* It lives after its directory was opened: nobody else can have had its number. */
	if (has_ended(target->pidfd))
		return -ESRCH;
	return error;
}

static int read_file(const struct ipcfs_target *target, const char *name, char text[FILE_ROOM])
{
	IPCFS_DESCRIPTOR_AUTO int fd = openat(target->proc, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	size = ipcfs_descriptor_read(fd, text, FILE_ROOM);
	return size < 0 ? (int)size : 0;
}

/* The 9th field. The command's name, in parentheses, may hold anything. */
static int check_kind(const struct ipcfs_target *target)
{
	char text[FILE_ROOM];
	const char *name_end;
	unsigned flags;
	int error = read_file(target, "stat", text);

	if (error)
		return error;
	name_end = strrchr(text, ')');
	if (!name_end || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return -EINVAL;
	return flags & PF_KTHREAD ? -EINVAL : 0;
}

/* The directory's owner does not tell: a process can have it be root. */
static int find_user(const struct ipcfs_target *target, uid_t *uid)
{
	char text[FILE_ROOM];
	const char *line;
	int error = read_file(target, "status", text);

	if (error)
		return error;
	line = strstr(text, "\nUid:");
	return line && sscanf(line, "\nUid: %*u %u", uid) == 1 ? 0 : -EINVAL;
}

int ipcfs_target_open(pid_t pid, struct ipcfs_target *target)
{
	int error;

	*target = IPCFS_TARGET_NONE;
	target->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (target->pidfd < 0) /* ENOENT: as newer kernels say that it is no leader */
		return errno == ENOENT ? -EINVAL : -errno;
	error = open_proc(target);
	if (!error)
		error = check_kind(target);
	if (error)
		ipcfs_target_close(target);
	return error;
}

int ipcfs_target_find(pid_t tid, uint64_t inode, struct ipcfs_target *target)
{
	char path[sizeof("/proc/") + 3 * sizeof(int)];
	struct stat st;
	int error = 0;

	*target = IPCFS_TARGET_NONE;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)tid);
	target->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target->proc < 0)
		return -errno;
	/* Nobody else gets in behind this descriptor. */
	if (inode && (fstatat(target->proc, "ns/ipc", &st, 0) || st.st_ino != inode))
		error = -ENOENT;
	if (error)
		ipcfs_target_close(target);
	return error;
}

void ipcfs_target_close(struct ipcfs_target *target)
{
	ipcfs_descriptor_close(&target->pidfd);
	ipcfs_descriptor_close(&target->proc);
}

int ipcfs_target_join(const struct ipcfs_target *target)
{
	IPCFS_DESCRIPTOR_AUTO int space = openat(target->proc, "ns/ipc", O_RDONLY | O_CLOEXEC);

	if (space < 0 && errno == ENOENT)
		return -ESRCH;
	if (space < 0)
		return errno == EACCES ? -EPERM : -errno;
	return setns(space, CLONE_NEWIPC) ? -errno : 0;
}

/*
 * A container may have mounted any tmpfs there that it can name, of which it may not be allowed to see
 * the inside; our rights are not to show it.
 */
static bool may_be_shown(const struct ipcfs_target *target, int directory)
{
	struct stat st;
	uid_t uid;

	if (fstat(directory, &st))
		return false;
	if ((st.st_mode & FOR_ALL) == FOR_ALL)
		return true;
	return (st.st_mode & SEEN_BY_ALL) == SEEN_BY_ALL && !find_user(target, &uid) &&
	       st.st_uid == uid;
}

/*
 * The way there leads through what the container has mounted, where a file system that answers late, or is our own,
 * would hold up our thread: so only what the kernel has in memory counts, as all above a mounted tmpfs is. -1.
 */
static int open_shm(int root)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_CACHED,
	};
	int directory = -1;

	/* EAGAIN also where something is mounted or renamed just then, anywhere */
	for (unsigned looks = 0; directory < 0 && looks < LOOKS_MAX; looks++) {
		directory = (int)syscall(SYS_openat2, root, "dev/shm", &how, sizeof(how));
		if (directory < 0 && errno != EAGAIN)
			break;
	}
	return directory;
}

/* As the kernel lists the mounts that the process can reach. */
static bool is_mount_of_tmpfs(const struct ipcfs_target *target, uint64_t id)
{
	int fd = openat(target->proc, "mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *mounts = fd < 0 ? NULL : fdopen(fd, "r");
	bool found = false, tmpfs = false;
	char *line = NULL;
	size_t room = 0;

	if (!mounts) {
		ipcfs_descriptor_close(&fd);
		return false;
	}
	while (!found && getline(&line, &room, mounts) > 0) {
		const char *type = strstr(line, " - "); /* blanks in names are written otherwise */

		found = strtoull(line, NULL, 10) == id;
		tmpfs = found && type && !strncmp(type + 3, "tmpfs ", 6);
	}
	free(line);
	(void)fclose(mounts);
	return tmpfs;
}

/* The mount that this is in, of those in mountinfo. By /proc, since not every C library knows how to ask statx(2). */
static bool find_mount(int fd, uint64_t *id)
{
	char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)], text[FILE_ROOM];
	unsigned long long number;
	const char *line;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (ipcfs_descriptor_read_path(path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nmnt_id:");
	if (!line || sscanf(line, "\nmnt_id: %llu", &number) != 1)
		return false;
	*id = number;
	return true;
}

/* Without asking the file system, which might not answer. */
static bool is_tmpfs(const struct ipcfs_target *target, int directory,
		     bool (*is_known)(dev_t device))
{
	struct statx st;
	uint64_t mount;

	if (statx(directory, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return false;
	if (is_known(makedev(st.stx_dev_major, st.stx_dev_minor)))
		return true;
	return find_mount(directory, &mount) && is_mount_of_tmpfs(target, mount);
}

int ipcfs_target_shm(const struct ipcfs_target *target, bool (*is_known)(dev_t device),
		     dev_t *device)
{
	IPCFS_DESCRIPTOR_AUTO int root = openat(target->proc, "root",
						O_PATH | O_DIRECTORY | O_CLOEXEC);
	int directory;

	if (root < 0)
		return -1;
	directory = open_shm(root);
	if (directory >= 0 &&
	    (!is_tmpfs(target, directory, is_known) || !may_be_shown(target, directory) ||
	     ipcfs_shm_dir_check(directory, device)))
		ipcfs_descriptor_close(&directory);
	return directory < 0 ? -1 : directory;
}
