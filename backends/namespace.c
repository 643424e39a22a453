/* SPDX-License-Identifier: MIT */
#include "namespace.h"

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

#include "authority.h"
#include "descriptor.h"

/* NS_GET_TGID_FROM_PIDNS, which older headers lack: our number of that process. */
#define GET_PROCESS _IOR(0xb7, 0x7, int)

#define PATH_ROOM (sizeof("/proc//ns/user") + 3 * sizeof(int))
#define FILE_ROOM 1024
#define STATUS_ROOM 4096
#define PID_NAMESPACES 33 /* they nest no deeper */

static void path_of(char path[PATH_ROOM], pid_t tid, const char *name)
{
	(void)snprintf(path, PATH_ROOM, "/proc/%d/%s", (int)tid, name);
}

static int open_of(pid_t tid, const char *name)
{
	char path[PATH_ROOM];
	int fd;

	if (tid <= 0)
		return -ENOENT;
	path_of(path, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return fd < 0 ? -errno : fd;
	return -ENOENT;
}

int ipcfs_namespace_open(pid_t tid)
{
	return open_of(tid, "ns/ipc");
}

/* By the text of its link, which costs half of what looking at it does. */
static uint64_t inode_of(pid_t tid, const char *name)
{
	char path[PATH_ROOM], text[64];
	unsigned long long inode;
	ssize_t size;

	if (tid <= 0)
		return 0;
	path_of(path, tid, name);
	size = readlink(path, text, sizeof(text) - 1);
	if (size < 0)
		return 0;
	text[size] = '\0';
	return sscanf(text, "%*[a-z]:[%llu]", &inode) == 1 ? inode : 0;
}

uint64_t ipcfs_namespace_of(pid_t tid)
{
	return inode_of(tid, "ns/ipc");
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
		if (!inode)
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

	if (inode_of(tid, "ns/pid") == inode_of(getpid(), "ns/pid"))
		return inode_of(number, "ns/ipc") ? number : 0;
	fd = open_of(tid, "ns/pid");
	if (fd < 0)
		return 0;
	pid = ioctl(fd, GET_PROCESS, (unsigned long)number);
	return pid > 0 ? pid : 0;
}

/* The last but `above` of the numbers that a process has, in its own pid namespace and those around it. */
static pid_t number_above(pid_t pid, unsigned above)
{
	char path[PATH_ROOM], text[STATUS_ROOM];
	pid_t numbers[PID_NAMESPACES];
	unsigned count = 0;
	const char *at;
	int size;

	path_of(path, pid, "status");
	if (ipcfs_descriptor_read_path(path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "\nNSpid:");
	if (!at)
		return 0;
	at += strlen("\nNSpid:");
	while (count < PID_NAMESPACES && sscanf(at, "%*[ \t]%d%n", &numbers[count], &size) == 1) {
		at += size;
		count++;
	}
	return above < count ? numbers[count - 1 - above] : 0;
}

bool ipcfs_namespace_shares_numbers(pid_t tid)
{
	uint64_t other = inode_of(tid, "ns/pid");

	return !other || other == inode_of(getpid(), "ns/pid");
}

pid_t ipcfs_namespace_number(pid_t tid, pid_t pid)
{
	uint64_t wanted = inode_of(tid, "ns/pid");
	int at = open_of(pid, "ns/pid");
	pid_t number = 0;

	for (unsigned above = 0; at >= 0 && !number && above < PID_NAMESPACES; above++) {
		struct stat st;
		int parent = -1;

		if (!fstat(at, &st) && st.st_ino == wanted)
			number = number_above(pid, above);
		else
			parent = ioctl(at, NS_GET_PARENT);
		ipcfs_descriptor_close(&at);
		at = parent;
	}
	if (at >= 0)
		ipcfs_descriptor_close(&at);
	return number;
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
	char path[PATH_ROOM], text[FILE_ROOM];
	const char *name_end;
	unsigned long long start;

	path_of(path, pid, "stat");
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
	int at = authority->count ? open_of(pid, "ns/user") : -1;
	bool found = false;

	for (unsigned depth = 0; at >= 0 && !found && depth < IPCFS_USER_NAMESPACES; depth++) {
		struct stat st;
		int parent;

		found = !fstat(at, &st) && st.st_ino == authority->chain[0].user_ns;
		parent = found ? -1 : ioctl(at, NS_GET_PARENT);
		ipcfs_descriptor_close(&at);
		at = parent;
	}
	return found;
}
