/* SPDX-License-Identifier: MIT */
/*
 * Making a POSIX queue. The kernel charges it to the real uid of the thread that makes it, against
 * that thread's RLIMIT_MSGQUEUE. A thread of ours with the caller's real uid could be signalled by
 * the caller, and the signal would reach all of us; so a process that can be lost does it.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptor.h"
#include "identity.h"
#include "posix_file.h"
#include "posix_mq.h"

#define SYS_FS_MQUEUE "/proc/sys/fs/mqueue/"

/* How often a maker that is stopped is sent on before it is given up. */
#define STOPS_MAX 100

/* All that the child needs, prepared by the parent: the child may not allocate. */
struct order {
	const struct ipcfs_caller *caller;
	const char *name;
	mode_t mode;
	struct mq_attr attr;
	bool has_attr;
	struct rlimit limit;
	struct ipcfs_identity own;
};

static void free_order(struct order *order)
{
	ipcfs_identity_free(&order->own);
}

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

static int set_rlimit(const struct rlimit *wanted)
{
	struct rlimit own, less = *wanted;

	if (!syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, wanted, NULL))
		return 0;
	/* Without CAP_SYS_RESOURCE our own hard limit stands; never more than the caller's. */
	if (syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, NULL, &own))
		return -errno;
	if (less.rlim_cur > own.rlim_max)
		less.rlim_cur = own.rlim_max;
	less.rlim_max = own.rlim_max;
	return syscall(SYS_prlimit64, 0, RLIMIT_MSGQUEUE, &less, NULL) ? -errno : 0;
}

/*
 * The child's life: system calls only, since the process it was copied from has other threads,
 * whose locks are never released here. All signals that can be are blocked. Returns an errno.
 */
static int run_maker(const struct order *order)
{
	int error;

	/* What the caller could trace or read has neither our memory nor our descriptors. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return errno;
	if (syscall(SYS_close_range, 0U, ~0U, 0))
		return errno;
	error = set_rlimit(&order->limit);
	if (!error)
		error = ipcfs_identity_become(order->caller, &order->own);
	if (error)
		return -error;
	/* Not before: it is forgotten when the ids change. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return errno;
	(void)umask(0); /* the mode was decided; umask can't fail */
	if (syscall(SYS_mq_open, order->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, order->mode,
		    order->has_attr ? &order->attr : NULL) < 0)
		return errno;
	return 0;
}

/* Wait for the child's end. Its errno, or EINTR when it was killed (by the caller, perhaps). */
static int await_maker(pid_t child)
{
	int stops = 0;
	int result;

	for (;;) {
		if (waitpid(child, &result, __WALL | WUNTRACED) < 0) {
			if (errno != EINTR)
				return errno;
		} else if (WIFEXITED(result)) {
			return WEXITSTATUS(result);
		} else if (WIFSIGNALED(result)) {
			return EINTR;
		} else if (WIFSTOPPED(result)) {
			/* The caller, whose process it is too, must not hold up our thread. */
			if (kill(child, ++stops < STOPS_MAX ? SIGCONT : SIGKILL))
				return errno;
		}
	}
}

static int make_in_child(const struct order *order)
{
	sigset_t all, before;
	int error;
	pid_t child;

	/* No handler of ours may run in the child. */
	(void)sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return error;
	child = fork();
	if (!child)
		_exit(run_maker(order));
	error = child < 0 ? errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* can't fail: it was valid before */
	return error ? error : await_maker(child);
}

int ipcfs_posix_mq_make(const struct ipcfs_spec *spec, const struct ipcfs_caller *caller,
			const char **limit)
{
	__attribute__((cleanup(free_order))) struct order order = {
		.caller = caller,
		.name = spec->name,
		.mode = spec->mode & IPCFS_POSIX_MODE_BITS,
	};
	int error = ipcfs_posix_name_check(spec->name);

	*limit = NULL;
	if (error)
		return error;
	if (!caller->loaded)
		return -EPERM;
	error = prepare_attr(spec, &order);
	if (!error)
		error = read_rlimit(caller->tid, &order.limit);
	if (!error)
		error = ipcfs_identity_read(&order.own);
	if (error)
		return error;

	error = make_in_child(&order);
	switch (error) {
	case EMFILE:
		*limit = "RLIMIT_MSGQUEUE";
		return -ENOSPC;
	case ENOSPC:
		*limit = "mq_queues_max";
		return -ENOSPC;
	case EINVAL:
	case EOVERFLOW:
		return order.has_attr ? -ERANGE : -error;
	default:
		return -error;
	}
}
