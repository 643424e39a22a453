/* SPDX-License-Identifier: MIT */
/*
 * stuckfs MOUNTPOINT SWITCH: a FUSE file system that answers no read and no question about
 * attributes while the file SWITCH exists. Mounted on a regular file it is one file; on a directory
 * it has a file "file". The file has 4096 bytes.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NODE 2
#define LONG_TIME 1000
#define SIZE 4096

static const char *stuck_while;
static bool is_directory;

static void fill(fuse_ino_t node, struct stat *st)
{
	*st = (struct stat){
		.st_ino = node, .st_nlink = 1, .st_uid = getuid(), .st_gid = getgid()
	};
	st->st_size = SIZE;
	st->st_mode = node == FUSE_ROOT_ID && is_directory ? S_IFDIR | 0755 : S_IFREG | 0666;
}

static void stuck_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = FILE_NODE, .entry_timeout = LONG_TIME };

	(void)parent;
	if (strcmp(name, "file") != 0) {
		fuse_reply_err(request, ENOENT);
		return;
	}
	fill(FILE_NODE, &entry.attr);
	fuse_reply_entry(request, &entry);
}

static void stuck_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	struct stat st;

	(void)info;
	if (access(stuck_while, F_OK) == 0)
		return; /* the caller waits until this process ends */
	fill(node, &st);
	fuse_reply_attr(request, &st, 0);
}

static void stuck_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
		       struct fuse_file_info *info)
{
	static const char zeros[SIZE];

	(void)node;
	(void)info;
	if (access(stuck_while, F_OK) == 0)
		return;
	fuse_reply_buf(request, zeros, offset == 0 && size >= SIZE ? SIZE : 0);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = stuck_lookup,
	.getattr = stuck_getattr,
	.read = stuck_read,
};

int main(int argc, char **argv)
{
	char allow[] = "-oallow_other";
	char *fuse_argv[] = { argv[0], allow, NULL };
	/* an ordinary user may not let others in */
	struct fuse_args args = FUSE_ARGS_INIT(geteuid() == 0 ? 2 : 1, fuse_argv);
	struct fuse_session *session;
	struct stat st;
	int status = 2;

	if (argc != 3 || stat(argv[1], &st) != 0) {
		fprintf(stderr, "usage: stuckfs MOUNTPOINT SWITCH\n");
		return 1;
	}
	stuck_while = argv[2];
	is_directory = S_ISDIR(st.st_mode);
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (session != NULL && fuse_session_mount(session, argv[1]) == 0 &&
	    fuse_session_loop(session) == 0)
		status = 0;
	if (session != NULL)
		fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return status;
}
