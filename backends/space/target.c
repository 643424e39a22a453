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

#include "backends/contract/descriptor.h"
#include "backends/space/shm_mount.h"
#include "backends/space/target.h"

#define FILE_SIZE 2048 /* bytes; the fields that are read begin before this size */
#define TRIES_MAX 64
#define MODE_FOR_ALL 01777 /* the usual mode of /dev/shm */
#define MODE_READABLE 0755

/* From the kernel's <linux/sched.h>: a flag in /proc/PID/stat, which no header for programs has. */
#define PF_KTHREAD 0x00200000

static bool has_ended(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 1;
}

/*
 * Reads a field of /proc/self/fdinfo. `label` is what stands before its number: "\nPid:".
 * -ENOENT: the descriptor has no such field.
 * Errors of open(2) and read(2).
 */
static int read_fdinfo(int fd, const char *label, long long *value)
{
	char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)], text[FILE_SIZE];
	const char *line;
	ssize_t size;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	size = ipcfs_descriptor_read_path(path, text, sizeof(text));
	if (size < 0)
		return (int)size;
	line = strstr(text, label);
	return line && sscanf(line + strlen(label), "%lld", value) == 1 ? 0 : -ENOENT;
}

/*
 * Returns the number that the process has in /proc, which may show another pid namespace than the
 * daemon's.
 * -ESRCH: the process has ended.
 * -ENOENT: it has no number there.
 */
static int number_in_proc(int pidfd)
{
	long long number;
	int error = read_fdinfo(pidfd, "\nPid:", &number);

	if (error || number == 0)
		return error ? error : -ENOENT;
	return number < 0 ? -ESRCH : (int)number;
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
	/*
	 * It lives after its directory was opened, so this was its number and not another
	 * process's.
	 */
	if (has_ended(target->pidfd))
		return -ESRCH;
	return error;
}

static int read_file(const struct ipcfs_target *target, const char *name, char text[FILE_SIZE])
{
	IPCFS_DESCRIPTOR_AUTO int fd = openat(target->proc, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	size = ipcfs_descriptor_read(fd, text, FILE_SIZE);
	return size < 0 ? (int)size : 0;
}

/*
 * Checks that the process is no kernel thread, by the 9th field of stat. The 2nd field is the
 * command's name in parentheses, and may contain any byte.
 */
static int check_no_kthread(const struct ipcfs_target *target)
{
	char text[FILE_SIZE];
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

/*
 * Reads the effective uid. The owner of the directory may be root all the same: prctl(2),
 * PR_SET_DUMPABLE.
 */
static int find_user(const struct ipcfs_target *target, uid_t *uid)
{
	char text[FILE_SIZE];
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
	if (target->pidfd < 0) /* newer kernels say ENOENT of a thread that does not lead */
		return errno == ENOENT ? -EINVAL : -errno;
	error = open_proc(target);
	if (!error)
		error = check_no_kthread(target);
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
	/* the descriptor stays with this thread */
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
 * Returns whether the mode of this /dev/shm allows to show it. A container may mount any tmpfs
 * there that it can name, also one that it may not look into; the daemon's rights must not open it.
 */
static bool may_be_shown(const struct ipcfs_target *target, int directory)
{
	struct stat st;
	uid_t uid;

	if (fstat(directory, &st))
		return false;
	if ((st.st_mode & MODE_FOR_ALL) == MODE_FOR_ALL)
		return true;
	return (st.st_mode & MODE_READABLE) == MODE_READABLE && !find_user(target, &uid) &&
	       st.st_uid == uid;
}

/*
 * Opens dev/shm below a root, or returns -1. The path leads through mounts of the container. A file
 * system that answers late, or the daemon's own, would block the thread; so only directories in the
 * kernel's memory count (RESOLVE_CACHED). All those above a mounted tmpfs are.
 */
static int open_shm(int root)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_CACHED,
	};
	int directory = -1;

	/* EAGAIN: not in memory; or some process was mounting or renaming at that moment */
	for (unsigned tries = 0; directory < 0 && tries < TRIES_MAX; tries++) {
		directory = (int)syscall(SYS_openat2, root, "dev/shm", &how, sizeof(how));
		if (directory < 0 && errno != EAGAIN)
			break;
	}
	return directory;
}

/* Returns whether the process's list of mounts has this mount as a tmpfs. */
static bool is_mount_of_tmpfs(const struct ipcfs_target *target, uint64_t id)
{
	int fd = openat(target->proc, "mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *mounts = fd < 0 ? NULL : fdopen(fd, "r");
	bool found = false, tmpfs = false;
	char *line = NULL;
	size_t capacity = 0;

	if (!mounts) {
		ipcfs_descriptor_close(&fd);
		return false;
	}
	while (!found && getline(&line, &capacity, mounts) > 0) {
		const char *type = strstr(line, " - "); /* blanks in names are escaped */

		found = strtoull(line, NULL, 10) == id;
		tmpfs = found && type && !strncmp(type + 3, "tmpfs ", 6);
	}
	free(line);
	(void)fclose(mounts);
	return tmpfs;
}

/*
 * Returns whether the directory is on a tmpfs, without asking the file system, which might not
 * answer.
 */
static bool is_tmpfs(const struct ipcfs_target *target, int directory,
		     bool (*is_known)(dev_t device))
{
	struct statx st;
	long long mount;

	if (statx(directory, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st))
		return false;
	if (is_known(makedev(st.stx_dev_major, st.stx_dev_minor)))
		return true;
	/* fdinfo, as not every C library has STATX_MNT_ID */
	return !read_fdinfo(directory, "\nmnt_id:", &mount) &&
	       is_mount_of_tmpfs(target, (uint64_t)mount);
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
	     ipcfs_shm_mount_check(directory, device)))
		ipcfs_descriptor_close(&directory);
	return directory < 0 ? -1 : directory;
}
