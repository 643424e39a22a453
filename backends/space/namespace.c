/* SPDX-License-Identifier: MIT */
#include "backends/space/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/caller/authority.h"
#include "backends/contract/descriptor.h"
#include "backends/space/message_keeper.h"

/*
 * NS_GET_TGID_FROM_PIDNS of <linux/nsfs.h>, which older headers lack: translates a pid of another
 * pid namespace into the daemon's.
 */
#define GET_PROCESS _IOR(0xb7, 0x7, int)

#define PATH_SIZE (sizeof("/proc//ns/user") + 3 * sizeof(int))
#define FILE_SIZE 1024
#define STATUS_SIZE 4096
#define NAMESPACES_MAX 33 /* the kernel nests pid and user namespaces no deeper */

static void proc_path(char path[PATH_SIZE], pid_t tid, const char *name)
{
	(void)snprintf(path, PATH_SIZE, "/proc/%d/%s", (int)tid, name);
}

static int open_proc(pid_t tid, const char *name)
{
	char path[PATH_SIZE];
	int fd;

	if (tid <= 0)
		return -ENOENT;
	proc_path(path, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return fd < 0 ? -errno : fd;
	return -ENOENT;
}

int ipcfs_namespace_open(pid_t tid)
{
	return open_proc(tid, "ns/ipc");
}

/*
 * Returns the inode number of a thread's namespace; 0: unknown. From the text of the link, which
 * takes half the time of a stat(2).
 */
static uint64_t namespace_inode(pid_t tid, const char *name)
{
	char path[PATH_SIZE], text[64];
	unsigned long long inode;
	ssize_t size;

	if (tid <= 0)
		return 0;
	proc_path(path, tid, name);
	size = readlink(path, text, sizeof(text) - 1);
	if (size < 0)
		return 0;
	text[size] = '\0';
	return sscanf(text, "%*[a-z]:[%llu]", &inode) == 1 ? inode : 0;
}

uint64_t ipcfs_namespace_of(pid_t tid)
{
	return namespace_inode(tid, "ns/ipc");
}

static int close_directory(DIR *directory, int error)
{
	(void)closedir(directory);
	return error;
}

int ipcfs_namespace_each(int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg)
{
	DIR *directory = opendir("/proc");

	if (!directory)
		return -errno;
	for (;;) {
		struct dirent *entry;
		uint64_t inode;
		long pid;
		int result;
		char *end;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return close_directory(directory, -errno);
		pid = strtol(entry->d_name, &end, 10);
		if (pid <= 0 || pid > INT_MAX || *end)
			continue;
		inode = ipcfs_namespace_of((pid_t)pid);
		if (!inode || ipcfs_message_keeper_is((pid_t)pid))
			continue;
		result = each(arg, inode, (pid_t)pid);
		if (result)
			return close_directory(directory, result);
	}
}

pid_t ipcfs_namespace_process(pid_t tid, pid_t number)
{
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	int pid;

	if (namespace_inode(tid, "ns/pid") == namespace_inode(getpid(), "ns/pid"))
		return namespace_inode(number, "ns/ipc") ? number : 0;
	fd = open_proc(tid, "ns/pid");
	if (fd < 0)
		return 0;
	pid = ioctl(fd, GET_PROCESS, (unsigned long)number);
	return pid > 0 ? pid : 0;
}

/*
 * Returns the pid that a process has in an outer pid namespace, `above` levels above its own. 0:
 * none.
 */
static pid_t number_above(pid_t pid, unsigned above)
{
	char path[PATH_SIZE], text[STATUS_SIZE];
	pid_t numbers[NAMESPACES_MAX];
	unsigned count = 0;
	const char *at;
	int size;

	proc_path(path, pid, "status");
	if (ipcfs_descriptor_read_path(path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "\nNSpid:");
	if (!at)
		return 0;
	at += strlen("\nNSpid:");
	while (count < NAMESPACES_MAX && sscanf(at, "%*[ \t]%d%n", &numbers[count], &size) == 1) {
		at += size;
		count++;
	}
	return above < count ? numbers[count - 1 - above] : 0;
}

bool ipcfs_namespace_shares_numbers(pid_t tid)
{
	uint64_t other = namespace_inode(tid, "ns/pid");

	return !other || other == namespace_inode(getpid(), "ns/pid");
}

/*
 * Returns how many levels the namespace `inode` is above that of the process, 0 being the process's
 * own; -1: it is none of those. `name` is the file of /proc/PID: "ns/pid" or "ns/user".
 */
static int levels_above(pid_t pid, const char *name, uint64_t inode)
{
	int at = open_proc(pid, name), found = -1;

	for (int level = 0; at >= 0 && found < 0 && level < NAMESPACES_MAX; level++) {
		struct stat st;
		int parent = -1;

		if (!fstat(at, &st) && st.st_ino == inode)
			found = level;
		else
			parent = ioctl(at, NS_GET_PARENT);
		ipcfs_descriptor_close(&at);
		at = parent;
	}
	ipcfs_descriptor_close(&at);
	return found;
}

pid_t ipcfs_namespace_number(pid_t tid, pid_t pid)
{
	int above = levels_above(pid, "ns/pid", namespace_inode(tid, "ns/pid"));

	return above < 0 ? 0 : number_above(pid, (unsigned)above);
}

int ipcfs_namespace_authority(pid_t pid, uint64_t inode, struct ipcfs_authority *authority)
{
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_namespace_open(pid);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || st.st_ino != inode)
		return -ENOENT;
	return ipcfs_authority_read(fd, authority);
}

uint64_t ipcfs_namespace_start(pid_t pid)
{
	char path[PATH_SIZE], text[FILE_SIZE];
	const char *name_end;
	unsigned long long start;

	proc_path(path, pid, "stat");
	if (ipcfs_descriptor_read_path(path, text, sizeof(text)) < 0)
		return 0;
	name_end = strrchr(text, ')');
	if (!name_end ||
	    sscanf(name_end + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &start) != 1)
		return 0;
	return start;
}

bool ipcfs_namespace_governs(const struct ipcfs_authority *authority, pid_t pid)
{
	return authority->count && levels_above(pid, "ns/user", authority->chain[0].user_ns) >= 0;
}
