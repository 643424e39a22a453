/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#ifdef IPCFS_SANDBOX
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

/*
 * Names, since not every architecture has every call; what one doesn't have is left out. Where the C
 * library may choose among several, all of them are here, and so are the 64-bit times of 32-bit
 * architectures. Without conditions on arguments the kernel decides once and for all, at no cost.
 */
static const char *const allowed[] = {
	/* memory */
	"brk", "madvise", "mremap", "munmap",
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
	/* threads and processes; clone3, whose flags no filter sees, is left to fail: see below */
	"exit", "exit_group", "fork", "futex", "futex_time64", "futex_wait", "futex_waitv",
	"futex_wake", "get_robust_list", "getpid", "getppid", "gettid", "kill", "membarrier",
	"restart_syscall", "rseq", "sched_getaffinity", "sched_yield", "set_robust_list",
	"set_tid_address", "setsid", "tgkill", "tkill", "umask", "wait4", "waitid", "waitpid",
	/* signals */
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
	"signalfd4", "sigreturn",
	/* identities: the caller's, and our own again */
	"capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
	"getgroups", "getgroups32", "getresgid", "getresgid32", "getresuid", "getresuid32",
	"getuid", "getuid32", "setgroups", "setgroups32", "setresgid", "setresgid32", "setresuid",
	"setresuid32",
	/* the log, and the keeper of what is held */
	"connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmsg", "sendmsg",
	"sendto", "setsockopt",
	/* the end, and what the C library asks */
	"chdir", "getcpu", "getrandom", "getrlimit", "sysinfo", "ugetrlimit", "umount2", "uname"
};

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

#if defined(__s390__) || defined(__CRIS__)
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define IOCTL_TYPE 0xff00 /* of its number: whose call it is */
#define IOCTL_FUSE (229 << 8)
#define IOCTL_NAMESPACE (0xb7 << 8) /* questions only */

/* Those whose arguments matter. A call with several lines may be any of them. */
static const struct condition {
	const char *call;
	struct scmp_arg_cmp argument;
} conditions[] = {
	/* no new code */
	{ "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ "mprotect", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	/* threads, the maker of queues and the keeper: in our namespaces */
	{ "clone", { CLONE_FLAGS, SCMP_CMP_MASKED_EQ, NAMESPACES, 0 } },
	{ "ioctl", { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE, IOCTL_FUSE } },
	{ "ioctl", { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE, IOCTL_NAMESPACE } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_KEEPCAPS, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
	{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0 } },
	/* our own limits only */
	{ "prlimit64", { 0, SCMP_CMP_EQ, 0, 0 } },
	/* the log, the Linux audit channel */
	{ "socket", { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
	{ "socket", { 0, SCMP_CMP_EQ, AF_NETLINK, 0 } },
	{ "socketpair", { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
};

static void release(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

/* `arguments` conditions, all of which have to hold. A call that is not known here is left out. */
static int allow(scmp_filter_ctx filter, const char *call, unsigned arguments,
		 const struct scmp_arg_cmp *argument)
{
	int number = seccomp_syscall_resolve_name(call);

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, arguments, argument);
}

/* Where all IPC namespaces are shown: into them, and into the user namespaces of callers. */
static const struct {
	const char *call;
	int type; /* of namespace; 0: whatever */
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
	/* Memory of ours alone may be written so; the process is known by now. */
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
	__attribute__((cleanup(release))) scmp_filter_ctx filter = NULL;
	int error;

	/* Without filters in the kernel, PR_SET_SECCOMP is unknown. */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
		ipcfs_log(LOG_WARNING, "the kernel has no filter for system calls");
		return 0;
	}
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	error = filter == NULL ? -ENOMEM : add_rules(filter);
	if (error == 0 && namespaces)
		error = add_entering(filter);
	/* A binary tree, so that the last call of the list is as fast as the first. */
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

#else

int ipcfs_sandbox_enter(bool namespaces, bool log)
{
	(void)namespaces;
	(void)log;
	return 0;
}
#endif
