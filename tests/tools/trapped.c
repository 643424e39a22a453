/* SPDX-License-Identifier: MIT */
/*
 * trapped MOUNTPOINT ACT PATH: makes one system call whose memory is a file of an own FUSE file
 * system, which never answers a read. The call holds its locks until this process ends, which it does with its
 * parent at the latest.
 *
 *	getdents	lists the directory PATH: its lock is held for reading
 *	write		writes to the file PATH: its lock is held for writing
 *
 * MOUNTPOINT is a directory. Prints "trapped" when the call waits for the memory. An ordinary user
 * runs it in a user and mount namespace: unshare --user --map-root-user --mount trapped ...
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_NODE 2
#define SIZE 65536

static void fill(fuse_ino_t node, struct stat *st)
{
	*st = (struct stat){ .st_ino = node, .st_nlink = 1, .st_size = SIZE };
	st->st_mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
}

static void memory_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = FILE_NODE };

	(void)parent, (void)name;
	fill(FILE_NODE, &entry.attr);
	fuse_reply_entry(request, &entry);
}

static void memory_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	struct stat st;

	(void)info;
	fill(node, &st);
	fuse_reply_attr(request, &st, 0);
}

static void memory_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	(void)node;
	fuse_reply_open(request, info);
}

/* The reader waits until this process ends: the kernel then aborts the connection. */
static void memory_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	(void)request, (void)node, (void)size, (void)offset, (void)info;
	puts("trapped");
	fflush(stdout);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = memory_lookup,
	.getattr = memory_getattr,
	.open = memory_open,
	.read = memory_read,
};

/* Runs in another process, which does not have the connection. */
static int act(const char *mountpoint, const char *how, const char *path)
{
	char file[512];
	void *memory;
	int fd, target;
	long result;

	(void)snprintf(file, sizeof(file), "%s/memory", mountpoint);
	fd = open(file, O_RDWR | O_CLOEXEC);
	target = open(path, strcmp(how, "write") == 0 ? O_WRONLY : O_RDONLY | O_DIRECTORY);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (fd < 0 || target < 0 || memory == MAP_FAILED) {
		fprintf(stderr, "trapped: %s, %s: %s\n", file, path, strerror(errno));
		return 2;
	}
	result = syscall(strcmp(how, "write") == 0 ? SYS_write : SYS_getdents64, target, memory,
			 SIZE);
	fprintf(stderr, "trapped: %s %s: %s\n", how, path, result < 0 ? strerror(errno) : "done");
	return 0;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session;
	pid_t child;

	if (argc != 4)
		return 2;
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!session || fuse_session_mount(session, argv[1]) != 0)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fuse_session_fd(session));
		_exit(act(argv[1], argv[2], argv[3]));
	}
	return child > 0 && fuse_session_loop(session) == 0 ? 0 : 2;
}
