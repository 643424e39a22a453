/* SPDX-License-Identifier: MIT */
#include "fs/daemon/sandbox.h"

#include <syslog.h>

#include "fs/base/log.h"

#ifdef IPCFS_SANDBOX
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Calls that are allowed with any arguments. They are names, as not every architecture has every
 * call; missing ones are skipped. If the C library may choose among several calls, all of them are
 * here, also those of 32-bit architectures with 64-bit times. The kernel caches the result for
 * calls without conditions, so they cost nothing.
 */
static const char *const allowed[] = {
	/* memory */
	"brk", "madvise", "memfd_create", "mincore", "mremap", "munmap",
	/* files: those of /proc, /dev/mqueue and /dev/shm */
	"access", "chmod", "close", "close_range", "dup", "dup2", "dup3", "faccessat", "faccessat2",
	"fallocate", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl",
	"fcntl64", "fdatasync", "flock", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
	"fsync", "ftruncate", "ftruncate64", "getcwd", "getdents", "getdents64", "linkat",
	"_llseek", "lseek", "lstat", "lstat64", "mkdirat", "newfstatat", "open", "openat",
	"openat2", "pipe2", "pread64", "pwrite64", "read", "readlink", "readlinkat", "readv",
	"renameat", "renameat2", "stat", "stat64", "statfs", "statfs64", "statx", "unlinkat",
	"utimensat", "utimensat_time64", "write", "writev",
	/* access control lists */
	"fgetxattr", "fremovexattr", "fsetxattr", "getxattr", "lgetxattr", "lremovexattr",
	"lsetxattr", "removexattr", "setxattr",
	/* IPC */
	"mq_getsetattr", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
	"mq_timedsend_time64", "msgctl", "msgget", "msgrcv", "msgsnd", "process_vm_readv", "semctl",
	"semget", "semop", "semtimedop", "semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2",
	"inotify_add_watch", "inotify_init1", "inotify_rm_watch", "poll", "ppoll", "ppoll_time64",
	"timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
	"timerfd_settime64",
	/* time */
	"clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
	"gettimeofday", "nanosleep", "setitimer", "time",
	/* threads and processes; not clone3, as a filter can't see its flags: see clone below */
	"exit", "exit_group", "fork", "futex", "futex_time64", "futex_wait", "futex_waitv",
	"futex_wake", "get_robust_list", "getpid", "getppid", "gettid", "kill", "membarrier",
	"pidfd_open", "pidfd_send_signal", "restart_syscall", "rseq", "sched_getaffinity",
	"sched_yield", "set_robust_list", "set_tid_address", "setsid", "tgkill", "tkill", "umask",
	"wait4", "waitid", "waitpid",
	/* signals */
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	"signalfd4", "sigreturn",
	/* taking a caller's ids, and returning to its own */
	"capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
	"getgroups", "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32",
	"getuid", "getuid32", "setgroups", "setgroups32", "setresgid", "setresgid32", "setresuid",
	"setresuid32",
	/* the log; the processes that keep holds and leased messages */
	"connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmsg", "sendmsg",
	"sendto", "setsockopt",
	/* ending, and calls of the C library */
	"chdir", "getcpu", "getrandom", "getrlimit", "sysinfo", "ugetrlimit", "umount2", "uname"
};

/* The calls of the keeper of holds (posix_sem_giver.c). */
static const char *const keepers[] = {
	"close",	"exit",	   "exit_group",      "futex",	      "futex_time64",
	"munmap",	"recvmsg", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "sendto",  "sigreturn"
};

/* The calls of the processes that send leased messages (message_sender.c). */
static const char *const senders[] = {
	"brk",
	"clock_gettime",
	"clock_gettime64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"close",
	"close_range",
	"dup3",
	"exit",
	"exit_group",
	"fstat",
	"fstat64",
	"futex",
	"futex_time64",
	"mq_timedsend",
	"mq_timedsend_time64",
	"mremap",
	"msgsnd",
	"munmap",
	"nanosleep",
	"newfstatat",
	"pread64",
	"recvmsg",
	"restart_syscall",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sendto",
	"sigreturn",
	"statx",
	"sysinfo",
};

/* The calls of the process for inotify(7) (echo.c). */
static const char *const echoes[] = {
	"close",	   "exit",	   "exit_group", "mkdirat", "open",	"openat", "read",
	"restart_syscall", "rt_sigreturn", "sigreturn",	 "statx",   "unlinkat",
};

#define IPC_STAT_ANY 0x100 /* a bit of msgctl(2)'s command that says how large the answer is */

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

#if defined(__s390__) || defined(__CRIS__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define IOCTL_TYPE 0xff00 /* the bits of an ioctl's number that tell the driver */
#define IOCTL_FUSE (229 << 8)
#define IOCTL_NAMESPACE (0xb7 << 8) /* which only answers questions */

/* Calls that are allowed with certain arguments. One of a call's lines has to match. */
static const struct condition {
	const char *call;
	struct scmp_arg_cmp argument;
} conditions[] = {
	/* no new code */
	{ "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mprotect", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	/* threads, children that make queues, the keepers: no new namespaces */
	{ "clone", { CLONE_FLAGS, SCMP_CMP_MASKED_EQ, NAMESPACES, 0 } },
	{ "ioctl", { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE, IOCTL_FUSE } },
	{ "ioctl", { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE, IOCTL_NAMESPACE } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_GET_SECCOMP, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_KEEPCAPS, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0 } },
	/* another filter can only refuse more: a keeper's */
	{ "seccomp", { 0, SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER, 0 } },
	/* the limits of the daemon itself */
	{ "prlimit64", { 0, SCMP_CMP_EQ, 0, 0 } },
	/* the log, and the Linux audit */
	{ "socket", { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
	{ "socket", { 0, SCMP_CMP_EQ, AF_NETLINK, 0 } },
	{ "socketpair", { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
};

static void release_filter(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

/*
 * Allows a call with `arguments` conditions, all of which must match. Skips a call that the
 * architecture does not have.
 */
static int allow(scmp_filter_ctx filter, const char *call, unsigned arguments,
		 const struct scmp_arg_cmp *argument)
{
	int number = seccomp_syscall_resolve_name(call);

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, arguments, argument);
}

/* Calls for -o namespaces: to enter IPC namespaces, and user namespaces of callers. */
static const struct {
	const char *call;
	int type; /* of namespace; 0: any arguments */
} entering[] = {
	{ "fsopen", 0 },	   { "fsconfig", 0 },	       { "fsmount", 0 },
	{ "setns", CLONE_NEWIPC }, { "setns", CLONE_NEWUSER },
};

static int add_entering(scmp_filter_ctx filter)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(entering) / sizeof(entering[0]); i++) {
		const struct scmp_arg_cmp type = { 1, SCMP_CMP_EQ, (scmp_datum_t)entering[i].type,
						   0 };

		error = allow(filter, entering[i].call, entering[i].type ? 1 : 0, &type);
	}
	return error;
}

static int add_rules(scmp_filter_ctx filter)
{
	/* Only to memory of the daemon itself, whose process id is final by now. */
	const struct scmp_arg_cmp to_us = { 0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0 };
	int error = allow(filter, "process_vm_writev", 1, &to_us);

	for (size_t i = 0; error == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		error = allow(filter, allowed[i], 0, NULL);
	for (size_t i = 0; error == 0 && i < sizeof(conditions) / sizeof(conditions[0]); i++)
		error = allow(filter, conditions[i].call, 1, &conditions[i].argument);
	return error;
}

int ipcfs_sandbox_enter(bool namespaces, bool log)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx filter = NULL;
	int error;

	/* A kernel without filters does not have this call. */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
		ipcfs_log(LOG_WARNING, "the kernel has no filter for system calls");
		return 0;
	}
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	error = filter == NULL ? -ENOMEM : add_rules(filter);
	if (error == 0 && namespaces)
		error = add_entering(filter);
	/* A binary tree makes the last call of the list as fast as the first. */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (error == 0 && log)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (error == 0)
		error = seccomp_load(filter);
	if (error < 0)
		ipcfs_log(LOG_ERR, "can't filter system calls: %s", strerror(-error));
	return error;
}

/* A call that is allowed on one condition. */
static const struct condition data_maps[] = {
	{ "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
};
static const struct condition queue_state = {
	"msgctl", { 1, SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)IPC_STAT_ANY &UINT32_MAX, IPC_STAT }
};

/*
 * Limits a helper process to a list of calls, to mappings without code, and to one call more if
 * `more` is not NULL.
 */
static int confine(const char *const *calls, size_t count, const struct condition *more)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx filter = NULL;
	int error;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	error = filter == NULL ? -ENOMEM : 0;
	/* no_new_privs is set already, and the daemon's filter lets nobody set it */
	if (error == 0)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; error == 0 && i < count; i++)
		error = allow(filter, calls[i], 0, NULL);
	for (size_t i = 0; error == 0 && i < sizeof(data_maps) / sizeof(data_maps[0]); i++)
		error = allow(filter, data_maps[i].call, 1, &data_maps[i].argument);
	if (error == 0 && more != NULL)
		error = allow(filter, more->call, 1, &more->argument);
	return error == 0 ? seccomp_load(filter) : error;
}

int ipcfs_sandbox_keeper(void)
{
	return confine(keepers, sizeof(keepers) / sizeof(keepers[0]), NULL);
}

int ipcfs_sandbox_leases(void)
{
	return confine(senders, sizeof(senders) / sizeof(senders[0]), &queue_state);
}

int ipcfs_sandbox_echo(void)
{
	return confine(echoes, sizeof(echoes) / sizeof(echoes[0]), NULL);
}

#else

int ipcfs_sandbox_echo(void)
{
	return 0;
}

int ipcfs_sandbox_keeper(void)
{
	return 0;
}

int ipcfs_sandbox_leases(void)
{
	return 0;
}

int ipcfs_sandbox_enter(bool namespaces, bool log)
{
	(void)namespaces;
	(void)log;
	ipcfs_log(LOG_WARNING, "built without libseccomp: system calls are not filtered");
	return 0;
}
#endif
