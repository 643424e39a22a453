/* SPDX-License-Identifier: MIT */
/*
 * Making a POSIX queue. The kernel charges the queue to the real uid of the thread that makes it,
 * and compares with the thread's RLIMIT_MSGQUEUE. A thread of the daemon with the caller's real uid
 * would let the caller send it signals, which reach the whole process. So an impersonating child
 * makes the queue, in the caller's user namespace, as the kernel counts queues by user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/caller/impersonate_child.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_file.h"
#include "backends/posix/posix_mq.h"

#define SYS_FS_MQUEUE "/proc/sys/fs/mqueue/"

/* The largest values of limits/mq_msg_max and limits/mq_msgsize_max (mq_overview(7)). */
#define MESSAGES_HARD_MAX 65536
#define MESSAGE_HARD_MAX (16 * 1024 * 1024)

struct new_queue {
	const char *name;
	mode_t mode;
	struct mq_attr attr;
	bool has_attr;
};

static rlim_t parse_limit(const char *text)
{
	return strncmp(text, "unlimited", 9) ? strtoull(text, NULL, 10) : RLIM_INFINITY;
}

/*
 * Reads the caller's RLIMIT_MSGQUEUE, from /proc: prlimit(2) of another process needs
 * CAP_SYS_RESOURCE.
 * -EPERM: /proc does not show it.
 * -ENOMEM: no memory, or no descriptor.
 */
static int read_rlimit(pid_t tid, struct rlimit *limit)
{
	static const char label[] = "\nMax msgqueue size";
	char path[sizeof("/proc//limits") + 3 * sizeof(tid)];
	char text[4096], soft[32], hard[32];
	const char *line;
	ssize_t size;

	if (tid <= 0)
		return -EPERM;
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", tid);
	size = ipcfs_descriptor_read_path(path, text, sizeof(text));
	if (size < 0)
		return size == -EMFILE || size == -ENFILE || size == -ENOMEM ? -ENOMEM : -EPERM;
	line = strstr(text, label);
	if (!line || sscanf(line + strlen(label), "%31s %31s", soft, hard) != 2)
		return -EPERM;
	limit->rlim_cur = parse_limit(soft);
	limit->rlim_max = parse_limit(hard);
	return 0;
}

/*
 * Reads a default as the kernel does: the smaller one of msg_default and msg_max, or of
 * msgsize_default and msgsize_max.
 */
static int read_default(const char *default_path, const char *max_path, long *value)
{
	uint64_t initial, max;
	int error = ipcfs_descriptor_number(default_path, &initial);

	if (!error)
		error = ipcfs_descriptor_number(max_path, &max);
	if (!error)
		*value = (long)(initial < max ? initial : max);
	return error;
}

static int prepare_attr(const struct ipcfs_spec *spec, struct new_queue *new_queue)
{
	uint32_t both = IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE;
	int error = 0;

	if (!(spec->given & both))
		return 0;
	if (spec->max_messages > LONG_MAX || spec->max_message > LONG_MAX)
		return -ERANGE;
	new_queue->has_attr = true;
	new_queue->attr.mq_maxmsg = (long)spec->max_messages;
	new_queue->attr.mq_msgsize = (long)spec->max_message;
	if (!(spec->given & IPCFS_SPEC_MAX_MESSAGES))
		error = read_default(SYS_FS_MQUEUE "msg_default", SYS_FS_MQUEUE "msg_max",
				     &new_queue->attr.mq_maxmsg);
	if (!error && !(spec->given & IPCFS_SPEC_MAX_MESSAGE))
		error = read_default(SYS_FS_MQUEUE "msgsize_default", SYS_FS_MQUEUE "msgsize_max",
				     &new_queue->attr.mq_msgsize);
	return error;
}

/* Makes the queue as the caller. In the child, so umask(2) changes nothing of the daemon's. */
static int make_queue(void *arg)
{
	const struct new_queue *new_queue = arg;

	(void)umask(0); /* the mode is final; cannot fail */
	if (syscall(SYS_mq_open, new_queue->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
		    new_queue->mode, new_queue->has_attr ? &new_queue->attr : NULL) < 0)
		return -errno;
	return 0;
}

/*
 * Returns the limit that the size of a queue is beyond. NULL: none that can be raised, as the value
 * is beyond what the kernel lets anybody have.
 */
static const char *limit_of(const struct mq_attr *attr)
{
	uint64_t max;

	if (attr->mq_maxmsg > MESSAGES_HARD_MAX || attr->mq_msgsize > MESSAGE_HARD_MAX)
		return NULL;
	if (!ipcfs_descriptor_number(SYS_FS_MQUEUE "msg_max", &max) &&
	    (uint64_t)attr->mq_maxmsg > max)
		return "mq_msg_max";
	if (!ipcfs_descriptor_number(SYS_FS_MQUEUE "msgsize_max", &max) &&
	    (uint64_t)attr->mq_msgsize > max)
		return "mq_msgsize_max";
	return NULL;
}

int ipcfs_posix_mq_make(const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			const char **limit)
{
	struct new_queue new_queue = {
		.name = spec->name,
		.mode = spec->mode & IPCFS_POSIX_MODE_BITS,
	};
	struct rlimit queues;
	const struct ipcfs_child_terms terms = { .caller = caller,
						 .queues = &queues,
						 .bare = true };
	int error = ipcfs_posix_name_check(spec->name);

	*limit = NULL;
	if (error)
		return error;
	if (!caller->loaded)
		return -EPERM;
	error = prepare_attr(spec, &new_queue);
	if (!error)
		error = read_rlimit(caller->tid, &queues);
	if (error)
		return error;

	error = ipcfs_impersonate_child(&terms, make_queue, &new_queue, sizeof(new_queue));
	switch (error) {
	case -EMFILE:
		*limit = "RLIMIT_MSGQUEUE";
		return -ENOSPC;
	case -ENOSPC:
		*limit = "mq_queues_max";
		return -ENOSPC;
	case -EINVAL:
	case -EOVERFLOW:
		if (!new_queue.has_attr)
			return error;
		*limit = limit_of(&new_queue.attr);
		return -ERANGE;
	default:
		return error;
	}
}
