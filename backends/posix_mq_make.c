/* SPDX-License-Identifier: MIT */
/*
 * Making a POSIX queue. The kernel charges it to the real uid of the thread that makes it, against
 * that thread's RLIMIT_MSGQUEUE. A thread of ours with the caller's real uid could be signalled by
 * the caller, and the signal would reach all of us; so a process that can be lost does it, in the caller's
 * user namespace, where queues are counted as well.
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

#include "descriptor.h"
#include "posix_file.h"
#include "posix_mq.h"
#include "stand_in.h"

#define SYS_FS_MQUEUE "/proc/sys/fs/mqueue/"

struct order {
	const char *name;
	mode_t mode;
	struct mq_attr attr;
	bool has_attr;
};

static rlim_t parse_limit(const char *text)
{
	return strncmp(text, "unlimited", 9) ? strtoull(text, NULL, 10) : RLIM_INFINITY;
}

/* The caller's RLIMIT_MSGQUEUE. From /proc: prlimit asks for CAP_SYS_RESOURCE even to look. */
static int read_rlimit(pid_t tid, struct rlimit *limit)
{
	static const char label[] = "\nMax msgqueue size";
	char path[sizeof("/proc//limits") + 3 * sizeof(tid)];
	char text[4096], soft[32], hard[32];
	const char *line;

	if (tid <= 0)
		return -EPERM;
	(void)snprintf(path, sizeof(path), "/proc/%d/limits", tid);
	if (ipcfs_descriptor_read_path(path, text, sizeof(text)) < 0)
		return -EPERM;
	line = strstr(text, label);
	if (!line || sscanf(line + strlen(label), "%31s %31s", soft, hard) != 2)
		return -EPERM;
	limit->rlim_cur = parse_limit(soft);
	limit->rlim_max = parse_limit(hard);
	return 0;
}

/* The kernel knows two defaults, each no more than what unprivileged queues may have. */
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

static int prepare_attr(const struct ipcfs_spec *spec, struct order *order)
{
	uint32_t both = IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE;
	int error = 0;

	if (!(spec->given & both))
		return 0;
	if (spec->max_messages > LONG_MAX || spec->max_message > LONG_MAX)
		return -ERANGE;
	order->has_attr = true;
	order->attr.mq_maxmsg = (long)spec->max_messages;
	order->attr.mq_msgsize = (long)spec->max_message;
	if (!(spec->given & IPCFS_SPEC_MAX_MESSAGES))
		error = read_default(SYS_FS_MQUEUE "msg_default", SYS_FS_MQUEUE "msg_max",
				     &order->attr.mq_maxmsg);
	if (!error && !(spec->given & IPCFS_SPEC_MAX_MESSAGE))
		error = read_default(SYS_FS_MQUEUE "msgsize_default", SYS_FS_MQUEUE "msgsize_max",
				     &order->attr.mq_msgsize);
	return error;
}

/* As the caller. */
static int make_queue(void *arg)
{
	const struct order *order = arg;

	(void)umask(0); /* the mode was decided; umask can't fail */
	if (syscall(SYS_mq_open, order->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, order->mode,
		    order->has_attr ? &order->attr : NULL) < 0)
		return -errno;
	return 0;
}

int ipcfs_posix_mq_make(const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			const char **limit)
{
	struct order order = {
		.name = spec->name,
		.mode = spec->mode & IPCFS_POSIX_MODE_BITS,
	};
	struct rlimit queues;
	const struct ipcfs_stand_in terms = { .caller = caller, .queues = &queues, .bare = true };
	int error = ipcfs_posix_name_check(spec->name);

	*limit = NULL;
	if (error)
		return error;
	if (!caller->loaded)
		return -EPERM;
	error = prepare_attr(spec, &order);
	if (!error)
		error = read_rlimit(caller->tid, &queues);
	if (error)
		return error;

	error = ipcfs_stand_in_run(&terms, make_queue, &order, sizeof(order));
	switch (error) {
	case -EMFILE:
		*limit = "RLIMIT_MSGQUEUE";
		return -ENOSPC;
	case -ENOSPC:
		*limit = "mq_queues_max";
		return -ENOSPC;
	case -EINVAL:
	case -EOVERFLOW:
		return order.has_attr ? -ERANGE : error;
	default:
		return error;
	}
}
