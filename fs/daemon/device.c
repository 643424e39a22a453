/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/device.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/answered.h"
#include "fs/base/counters.h"
#include "fs/base/fuse_header.h"
#include "fs/base/legacy.h"
#include "fs/base/log.h"
#include "fs/base/unanswered.h"

#define SHORT_MAX 256 /* bytes */

static struct ipcfs_legacy *legacy; /* not owned; NULL: no worker comes after this one */
static bool replaying;		    /* answers are dropped */
static bool differs;		    /* the answer to INIT is not the one that the kernel has got */

static size_t size_of(const struct iovec *parts, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

/* Joins parts of SHORT_MAX bytes in all, or fewer. Returns their number. */
static size_t join(const struct iovec *parts, int count, char bytes[SHORT_MAX])
{
	size_t size = 0;

	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(bytes + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	return size;
}

static ssize_t send_short(int fd, const struct iovec *parts, int count)
{
	char bytes[SHORT_MAX];
	size_t size = join(parts, count, bytes);
	ssize_t done;
	int error;

	done = write(fd, bytes, size);
	error = errno;
	explicit_bzero(bytes, size); /* it may have been a message */
	errno = error;
	return done;
}

/*
 * Counts the error of a reply, unless another thread has answered the request. The count is there
 * before the caller learns of the error. libfuse has the whole header in one part.
 */
static void count_error(const struct iovec *parts)
{
	if (parts[0].iov_len >= IPCFS_FUSE_ANSWER_SIZE && !ipcfs_answered())
		ipcfs_count_error(ipcfs_fuse_header_error(parts[0].iov_base));
}

/* Returns the number of the request that is answered. 0: it is a notification. */
static uint64_t number_of(const struct iovec *parts)
{
	return parts[0].iov_len >= IPCFS_FUSE_ANSWER_SIZE
		       ? ipcfs_fuse_header_answered(parts[0].iov_base)
		       : 0;
}

/* Notes that a request was answered. Keeps errno. */
static void note_answer(const struct iovec *parts)
{
	int error = errno;

	ipcfs_unanswered_answered(number_of(parts));
	errno = error;
}

/* Returns whether an answer has failed since a worker before has given it. */
static bool was_answered_before(void)
{
	return errno == ENOENT && ipcfs_unanswered_is_left();
}

/* Notes the answer to INIT, which is the first one, or compares it. */
static void note_init(const struct iovec *parts, int count)
{
	char bytes[SHORT_MAX];

	if (size_of(parts, count) > sizeof(bytes))
		differs = true;
	else if (!ipcfs_legacy_answer(legacy, bytes, join(parts, count, bytes)))
		differs = true;
}

static ssize_t send_reply(int fd, struct iovec *parts, int count, void *arg)
{
	size_t size = size_of(parts, count);
	ssize_t done;

	(void)arg;
	if (legacy && (replaying || !atomic_load(&legacy->answer_size)))
		note_init(parts, count);
	if (replaying)
		return (ssize_t)size;
	if (ipcfs_unanswered_misses(number_of(parts))) { /* a message would be lost untold */
		ipcfs_unanswered_refuse(fd, number_of(parts), -EIO);
		return (ssize_t)size;
	}
	if (size <= SHORT_MAX) {
		count_error(parts);
		done = send_short(fd, parts, count);
		note_answer(parts);
		return done < 0 && was_answered_before() ? (ssize_t)size : done;
	}
	done = writev(fd, parts, count); /* it tells of no error: an error has no bytes */
	note_answer(parts);
	if (done < 0 && was_answered_before())
		return (ssize_t)size;
	/* Another process truncated the segment. The kernel has answered the request with EIO. */
	if (done < 0 && errno == EFAULT)
		return (ssize_t)size;
	return done;
}

static ssize_t read_request(int fd, void *bytes, size_t size, void *arg)
{
	ssize_t got = ipcfs_unanswered_read(fd, bytes, size);

	(void)arg;
	if (got > 0 && legacy)
		ipcfs_legacy_request(legacy, bytes, (size_t)got);
	return got;
}

int ipcfs_device_replay_init(struct fuse_session *session)
{
	char request[IPCFS_LEGACY_INIT] __attribute__((aligned(8)));
	const struct fuse_buf buf = { .mem = request, .size = atomic_load(&legacy->init_size) };

	memcpy(request, legacy->init, sizeof(request));
	replaying = true;
	fuse_session_process_buf(session, &buf);
	replaying = false;
	if (differs)
		ipcfs_log(LOG_ERR, "the kernel was told something else about the mount");
	return differs || fuse_session_exited(session) ? -EPROTO : 0;
}

int ipcfs_device_use(struct fuse_session *session, struct ipcfs_legacy *of)
{
	const struct fuse_custom_io io = { .writev = send_reply, .read = read_request };

	legacy = of;
	return fuse_session_custom_io(session, &io, fuse_session_fd(session)) ? -ENOMEM : 0;
}
