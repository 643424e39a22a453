/* SPDX-License-Identifier: MIT */
/*
 * nullfs [-f] [--dirs=N] MOUNTPOINT
 *
 * A file system that does nothing, with the session loop of ipcfs: what remains without the work of
 * ipcfs. d/e/q/f is like a channel file, four levels deep: writes are ignored, reads give 64 zero
 * bytes. big/ has N directories (1000) to list.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/daemon/session.h"

/* For ever where nothing changes, not at all where ipcfs must ask again, for a while in lists. */
#define TIMEOUT_FIXED 86400.0
#define TIMEOUT_NONE 0.0
#define TIMEOUT_LISTED 0.05

#define ANSWER_SIZE 64
#define MAX_WRITE (1024 * 1024)
#define DIRS_DEFAULT 1000
#define DIRS_MAX 1000000
#define NAME_SIZE 24

enum { NODE_ROOT = FUSE_ROOT_ID, NODE_D, NODE_E, NODE_Q, NODE_F, NODE_BIG, NODE_FIRST = 16 };

/* The fields of struct fuse_open_out; libfuse has none for the last one. */
enum { OPEN_DIRECT_IO = 1 << 0, OPEN_NONSEEKABLE = 1 << 2, OPEN_STREAM = 1 << 4 };

struct open_reply {
	uint64_t handle;
	uint32_t flags;
	int32_t backing;
};

static const struct {
	fuse_ino_t parent, node;
	const char *name;
	double timeout;
} fixed[] = {
	{ NODE_ROOT, NODE_D, "d", TIMEOUT_FIXED }, { NODE_ROOT, NODE_BIG, "big", TIMEOUT_FIXED },
	{ NODE_D, NODE_E, "e", TIMEOUT_FIXED },	   { NODE_E, NODE_Q, "q", TIMEOUT_NONE },
	{ NODE_Q, NODE_F, "f", TIMEOUT_NONE },
};

#define NFIXED (sizeof(fixed) / sizeof(fixed[0]))

static unsigned long dirs(fuse_req_t request)
{
	return *(const unsigned long *)fuse_req_userdata(request);
}

static void describe(fuse_ino_t node, struct stat *attr)
{
	*attr = (struct stat){
		.st_ino = node,
		.st_mode = node == NODE_F ? S_IFREG | 0600 : S_IFDIR | 0700,
		.st_nlink = node == NODE_F ? 1 : 2,
		.st_uid = getuid(),
		.st_gid = getgid(),
	};
}

static void entry_name(unsigned long index, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "0x%08lx", index);
}

static void entry(fuse_ino_t node, double timeout, struct fuse_entry_param *out)
{
	*out = (struct fuse_entry_param){
		.ino = node,
		.generation = 1,
		.attr_timeout = timeout,
		.entry_timeout = timeout,
	};
	describe(node, &out->attr);
}

static void null_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	conn->want |= conn->capable &
		      (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK | FUSE_CAP_READDIRPLUS |
		       FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS);
	conn->max_write = MAX_WRITE;
}

static void null_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param out;
	char expected[NAME_SIZE];
	unsigned long index;

	for (size_t i = 0; i < NFIXED; i++) {
		if (fixed[i].parent == parent && strcmp(fixed[i].name, name) == 0) {
			entry(fixed[i].node, fixed[i].timeout, &out);
			fuse_reply_entry(request, &out);
			return;
		}
	}
	if (parent == NODE_BIG) {
		index = strtoul(name, NULL, 16);
		entry_name(index, expected);
		if (index < dirs(request) && strcmp(name, expected) == 0) {
			entry(NODE_FIRST + index, TIMEOUT_NONE, &out);
			fuse_reply_entry(request, &out);
			return;
		}
	}
	fuse_reply_err(request, ENOENT);
}

static void null_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	struct stat attr;
	bool changes = node == NODE_Q || node == NODE_F || node >= NODE_FIRST;

	(void)info;
	describe(node, &attr);
	fuse_reply_attr(request, &attr, changes ? TIMEOUT_NONE : TIMEOUT_FIXED);
}

static void null_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	const struct open_reply reply = {
		.flags = OPEN_DIRECT_IO | OPEN_NONSEEKABLE | OPEN_STREAM,
	};

	(void)node;
	(void)info;
	fuse_reply_buf(request, (const char *)&reply, sizeof(reply));
}

static void null_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
		      struct fuse_file_info *info)
{
	static const char answer[ANSWER_SIZE];

	(void)node;
	(void)offset;
	(void)info;
	fuse_reply_buf(request, answer, size < ANSWER_SIZE ? size : ANSWER_SIZE);
}

static void null_write(fuse_req_t request, fuse_ino_t node, const char *data, size_t size,
		       off_t offset, struct fuse_file_info *info)
{
	(void)node;
	(void)data;
	(void)offset;
	(void)info;
	fuse_reply_write(request, size);
}

static void null_flush(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
	(void)node;
	(void)info;
	fuse_reply_err(request, 0);
}

/* Finds entry number `index` of a directory. False: it is behind the last one. */
static bool listed(fuse_req_t request, fuse_ino_t node, unsigned long index, char name[NAME_SIZE],
		   fuse_ino_t *child, double *timeout)
{
	if (node == NODE_BIG) {
		if (index >= dirs(request))
			return false;
		entry_name(index, name);
		*child = NODE_FIRST + index;
		*timeout = TIMEOUT_LISTED;
		return true;
	}
	for (size_t i = 0; i < NFIXED; i++) {
		if (fixed[i].parent != node || index-- > 0)
			continue;
		snprintf(name, NAME_SIZE, "%s", fixed[i].name);
		*child = fixed[i].node;
		*timeout = fixed[i].timeout;
		return true;
	}
	return false;
}

static void list(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, bool plus)
{
	char *buffer = malloc(size), name[NAME_SIZE];
	size_t used = 0, length;
	unsigned long index = (unsigned long)offset;
	struct fuse_entry_param out;
	fuse_ino_t child;
	double timeout;

	if (buffer == NULL) {
		fuse_reply_err(request, ENOMEM);
		return;
	}
	for (; listed(request, node, index, name, &child, &timeout); index++, used += length) {
		off_t next = (off_t)index + 1;

		entry(child, timeout, &out);
		if (plus)
			length = fuse_add_direntry_plus(request, buffer + used, size - used, name,
							&out, next);
		else
			length = fuse_add_direntry(request, buffer + used, size - used, name,
						   &out.attr, next);
		if (length > size - used)
			break;
	}
	fuse_reply_buf(request, buffer, used);
	free(buffer);
}

static void null_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
			 struct fuse_file_info *info)
{
	(void)info;
	list(request, node, size, offset, false);
}

static void null_readdirplus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
			     struct fuse_file_info *info)
{
	(void)info;
	list(request, node, size, offset, true);
}

/* Without getxattr, setxattr and listxattr the answer is ENOSYS, and the kernel stops asking. */
/* No lists: the kernel asks at each open with O_TRUNC, and ls for each entry. */
static void null_getxattr(fuse_req_t request, fuse_ino_t node, const char *name, size_t size)
{
	(void)node;
	(void)name;
	(void)size;
	fuse_reply_err(request, ENODATA);
}

static const struct fuse_lowlevel_ops operations = {
	.init = null_init,
	.lookup = null_lookup,
	.getxattr = null_getxattr,
	.getattr = null_getattr,
	.open = null_open,
	.read = null_read,
	.write = null_write,
	.flush = null_flush,
	.release = null_flush,
	.readdir = null_readdir,
	.readdirplus = null_readdirplus,
};

static int start(void *arg, struct fuse_session *session)
{
	(void)arg;
	(void)session;
	return 0;
}

static void stop(void *arg)
{
	(void)arg;
}

static int usage(void)
{
	fprintf(stderr, "usage: nullfs [-f] [--dirs=N] MOUNTPOINT\n");
	return 1;
}

static void done(void *arg)
{
	(void)arg;
}

static bool admit(void *arg, const void *request, size_t size)
{
	(void)arg;
	(void)request;
	(void)size;
	return true;
}

static int no_process(void *arg)
{
	(void)arg;
	return -1;
}

int main(int argc, char **argv)
{
	const struct ipcfs_session_hooks hooks = { .start = start,
						   .stop = stop,
						   .done = done,
						   .leave = done,
						   .admit = admit,
						   .process = no_process };
	char *fuse_argv[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, fuse_argv);
	unsigned long count = DIRS_DEFAULT;
	bool foreground = false;
	char *mountpoint = NULL, *end;
	struct fuse_session *session;
	int status = 2;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-f") == 0) {
			foreground = true;
		} else if (strncmp(argv[i], "--dirs=", 7) == 0) {
			count = strtoul(argv[i] + 7, &end, 10);
			if (*end != '\0' || count > DIRS_MAX)
				return usage();
		} else if (argv[i][0] == '-' || mountpoint != NULL) {
			return usage();
		} else {
			mountpoint = argv[i];
		}
	}
	if (mountpoint == NULL)
		return usage();
	mountpoint = realpath(mountpoint, NULL);
	if (mountpoint == NULL) {
		perror("nullfs");
		return 2;
	}
	session = fuse_session_new(&args, &operations, sizeof(operations), &count);
	if (session != NULL && fuse_session_mount(session, mountpoint) == 0 &&
	    ipcfs_session_run(session, mountpoint, foreground, NULL, NULL, &hooks) == 0)
		status = 0;
	if (session != NULL)
		fuse_session_destroy(session);
	free(mountpoint);
	fuse_opt_free_args(&args);
	return status;
}
