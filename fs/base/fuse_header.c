/* SPDX-License-Identifier: MIT */
/* libfuse's headers and the kernel's can't be included together: only this file has the latter. */
#include "fs/base/fuse_header.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/counters.h"

/* Asks for attributes as GETATTR does; missing in the headers of older systems. */
#if FUSE_KERNEL_MINOR_VERSION < 39
#define FUSE_STATX 52
#endif

/* Tells whether a SETATTR is about an open file, as that of ftruncate(2) is. */
static bool is_setattr_on_file(const void *request, size_t size)
{
	struct fuse_setattr_in setattr;

	if (size - sizeof(struct fuse_in_header) < sizeof(setattr))
		return false;
	memcpy(&setattr, (const char *)request + sizeof(struct fuse_in_header), sizeof(setattr));
	return setattr.valid & FATTR_FH;
}

enum ipcfs_fuse_subject ipcfs_fuse_header_subject(const void *request, size_t size)
{
	struct fuse_in_header in;

	if (size < sizeof(in))
		return IPCFS_FUSE_ON_NOTHING; /* not a request: libfuse reports it */
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
		return IPCFS_FUSE_ON_NOTHING;
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
		return IPCFS_FUSE_ON_FILE;
	case FUSE_GETATTR:
	case FUSE_STATX:
		/* fstat(2) and stat(2) look the same; stat(2) had to look the name up before */
		return in.nodeid == FUSE_ROOT_ID ? IPCFS_FUSE_ON_MOUNT : IPCFS_FUSE_ON_FILE;
	case FUSE_STATFS:
		return in.nodeid == FUSE_ROOT_ID ? IPCFS_FUSE_ON_MOUNT : IPCFS_FUSE_ON_PATH;
	case FUSE_SETATTR:
		return is_setattr_on_file(request, size) ? IPCFS_FUSE_ON_FILE : IPCFS_FUSE_ON_PATH;
	default:
		return IPCFS_FUSE_ON_PATH;
	}
}

static bool is_inspection(uint32_t opcode)
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

int ipcfs_fuse_header_late(const void *request, size_t size)
{
	struct fuse_in_header in;

	if (size < sizeof(in))
		return 0;
	memcpy(&in, request, sizeof(in));
	switch (in.opcode) {
	case FUSE_SETATTR:
		return is_setattr_on_file(request, size) ? 0 : -EINPROGRESS;
	case FUSE_MKDIR:
	case FUSE_RMDIR:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		return -EINPROGRESS;
	case FUSE_LOOKUP:
	case FUSE_OPENDIR:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		return -EBUSY;
	default:
		return 0;
	}
}

_Static_assert(IPCFS_FUSE_ANSWER_SIZE == sizeof(struct fuse_out_header), "as the kernel has it");

_Static_assert(IPCFS_FUSE_HEADER_SIZE == sizeof(struct fuse_in_header), "as the kernel has it");

_Static_assert(IPCFS_FUSE_INTERRUPT_SIZE ==
		       sizeof(struct fuse_in_header) + sizeof(struct fuse_interrupt_in),
	       "as the kernel has it");

/* Returns the number of the request that an INTERRUPT is about. */
static uint64_t interrupted_request(const void *request)
{
	struct fuse_interrupt_in interrupt;

	memcpy(&interrupt, (const char *)request + sizeof(struct fuse_in_header),
	       sizeof(interrupt));
	return interrupt.unique;
}

void ipcfs_fuse_header_read(const void *request, struct ipcfs_fuse_header *head)
{
	struct fuse_in_header in;

	memcpy(&in, request, sizeof(in));
	*head = (struct ipcfs_fuse_header){
		.unique = in.unique,
		.opcode = in.opcode,
		.node = in.nodeid,
		.uid = in.uid,
		.gid = in.gid,
		.tid = (pid_t)in.pid,
		.releases = in.opcode == FUSE_RELEASE || in.opcode == FUSE_FLUSH,
		.writes = in.opcode == FUSE_WRITE,
		.uses = in.opcode == FUSE_READ || in.opcode == FUSE_WRITE ||
			in.opcode == FUSE_FLUSH,
		.forgets = in.opcode == FUSE_FORGET || in.opcode == FUSE_BATCH_FORGET,
		.lists = in.opcode == FUSE_READDIR || in.opcode == FUSE_READDIRPLUS,
		.looks = is_inspection(in.opcode),
		.interrupts = in.opcode == FUSE_INTERRUPT ? interrupted_request(request) : 0,
	};
}

void ipcfs_fuse_header_interrupt(char request[IPCFS_FUSE_INTERRUPT_SIZE], uint64_t unique)
{
	/* the kernel sets the lowest bit of an INTERRUPT's own number */
	const struct fuse_in_header in = { .len = IPCFS_FUSE_INTERRUPT_SIZE,
					   .opcode = FUSE_INTERRUPT,
					   .unique = unique | 1 };
	const struct fuse_interrupt_in interrupt = { .unique = unique };

	memcpy(request, &in, sizeof(in));
	memcpy(request + sizeof(in), &interrupt, sizeof(interrupt));
}

bool ipcfs_fuse_header_poll(const void *request, size_t size, uint64_t *file, uint64_t *pollers)
{
	struct fuse_in_header in;
	struct fuse_poll_in poll;

	if (size < sizeof(in) + sizeof(poll))
		return false;
	memcpy(&in, request, sizeof(in));
	if (in.opcode != FUSE_POLL)
		return false;
	memcpy(&poll, (const char *)request + sizeof(in), sizeof(poll));
	*file = poll.fh;
	*pollers = poll.kh;
	return poll.flags & FUSE_POLL_SCHEDULE_NOTIFY;
}

uint64_t ipcfs_fuse_header_closed(const void *request, size_t size)
{
	struct fuse_in_header in;
	struct fuse_release_in release;

	if (size < sizeof(in) + sizeof(release))
		return 0;
	memcpy(&in, request, sizeof(in));
	memcpy(&release, (const char *)request + sizeof(in), sizeof(release));
	return in.opcode == FUSE_RELEASE ? release.fh : 0;
}

void ipcfs_fuse_header_wake(int fd, uint64_t pollers)
{
	const struct {
		struct fuse_out_header out;
		struct fuse_notify_poll_wakeup_out wakeup;
	} notice = { { .len = sizeof(notice), .error = FUSE_NOTIFY_POLL }, { .kh = pollers } };

	/* Any other error means that nobody polls, or that the mount is gone. */
	while (write(fd, &notice, sizeof(notice)) < 0 && errno == EINTR)
		;
}

bool ipcfs_fuse_header_refuse(int fd, uint64_t unique, int err)
{
	const struct fuse_out_header out = { .len = sizeof(out), .error = err, .unique = unique };
	ssize_t put;

	ipcfs_count_error(err);
	/*
	 * Any other error means that nobody waits: the caller was interrupted or the mount is gone.
	 */
	do {
		put = write(fd, &out, sizeof(out));
	} while (put < 0 && errno == EINTR);
	return put > 0;
}

int ipcfs_fuse_header_error(const void *answer)
{
	struct fuse_out_header out;

	memcpy(&out, answer, sizeof(out));
	return out.unique ? out.error : 0;
}

uint64_t ipcfs_fuse_header_answered(const void *answer)
{
	struct fuse_out_header out;

	memcpy(&out, answer, sizeof(out));
	return out.unique;
}
