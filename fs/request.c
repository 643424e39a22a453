/* SPDX-License-Identifier: MIT */
/* The library's headers and the kernel's don't go together; this file reads what the kernel wrote. */
#include "request.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Newer than some systems' headers; a GETATTR with more to ask for. */
#if FUSE_KERNEL_MINOR_VERSION < 39
#define FUSE_STATX 52
#endif

/* ftruncate(2) */
static bool is_of_file(const void *request, size_t size)
{
	struct fuse_setattr_in setattr;

	if (size - sizeof(struct fuse_in_header) < sizeof(setattr))
		return false;
	memcpy(&setattr, (const char *)request + sizeof(struct fuse_in_header), sizeof(setattr));
	return setattr.valid & FATTR_FH;
}

enum ipcfs_request_sort ipcfs_request_sort(const void *request, size_t size)
{
	struct fuse_in_header in;

	if (size < sizeof(in))
		return IPCFS_REQUEST_FREE; /* no request at all; the library says so */
	memcpy(&in, request, sizeof(in));
	switch (in.opcode) {
	case FUSE_INIT:
	case FUSE_DESTROY:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_NOTIFY_REPLY:
		return IPCFS_REQUEST_FREE;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_IOCTL:
	case FUSE_POLL:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		return IPCFS_REQUEST_ON_FILE;
	case FUSE_GETATTR:
	case FUSE_STATX:
		/* fstat(2) can't be told from stat(2), whose caller had to look the name up */
		return in.nodeid == FUSE_ROOT_ID ? IPCFS_REQUEST_LOOK : IPCFS_REQUEST_ON_FILE;
	case FUSE_STATFS:
		return in.nodeid == FUSE_ROOT_ID ? IPCFS_REQUEST_LOOK : IPCFS_REQUEST_ON_PATH;
	case FUSE_SETATTR:
		return is_of_file(request, size) ? IPCFS_REQUEST_ON_FILE : IPCFS_REQUEST_ON_PATH;
	default:
		return IPCFS_REQUEST_ON_PATH;
	}
}

static bool looks(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_READLINK:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_ACCESS:
	case FUSE_STATFS:
		return true;
	default:
		return false;
	}
}

_Static_assert(IPCFS_REQUEST_HEAD == sizeof(struct fuse_in_header), "as the kernel has it");

void ipcfs_request_head(const void *request, struct ipcfs_request *head)
{
	struct fuse_in_header in;

	memcpy(&in, request, sizeof(in));
	*head = (struct ipcfs_request){
		.unique = in.unique,
		.node = in.nodeid,
		.uid = in.uid,
		.gid = in.gid,
		.tid = (pid_t)in.pid,
		.releases = in.opcode == FUSE_RELEASE || in.opcode == FUSE_FLUSH,
		.writes = in.opcode == FUSE_WRITE,
		.looks = looks(in.opcode),
	};
}

void ipcfs_request_refuse(int fd, uint64_t unique, int err)
{
	const struct fuse_out_header out = { .len = sizeof(out), .error = err, .unique = unique };

	/* That it was interrupted, or the mount is gone, is no concern of ours: nobody waits then. */
	while (write(fd, &out, sizeof(out)) < 0 && errno == EINTR)
		;
}
