/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef IPCFS_SANDBOX
#include <seccomp.h>
#endif

enum { MEMORY = 256 << 20 };

static int limit(int resource, rlim_t value)
{
	const struct rlimit both = { value, value };

	return setrlimit(resource, &both) ? -errno : 0;
}

int ipcfs_amqp_confine_early(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return -errno;
	return limit(RLIMIT_CORE, 0);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

#ifdef IPCFS_SANDBOX
/* Calls with any arguments. Several names are one call of different architectures. */
static const char *const allowed[] = {
	/* the two sockets, bodies of messages */
	"close", "fcntl", "fcntl64", "memfd_create", "poll", "ppoll", "ppoll_time64", "pread64",
	"pwrite64", "read", "recv", "recvfrom", "recvmsg", "send", "sendmsg", "sendto", "write",
	"writev",
	/* memory, time, randomness of TLS, the end */
	"brk", "clock_gettime", "clock_gettime64", "exit", "exit_group", "futex", "futex_time64",
	"getpid", "getrandom", "gettimeofday", "madvise", "mremap", "munmap", "restart_syscall",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "time"
};

/* Calls for memory, which is without code. */
static const char *const mapping[] = { "mmap", "mmap2", "mprotect" };

static int add(scmp_filter_ctx filter, const char *call, unsigned conditions)
{
	const struct scmp_arg_cmp no_code = { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 };
	int number = seccomp_syscall_resolve_name(call);

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, conditions, &no_code);
}

/* Adds one option of TCP: TCP_CORK, with which main.c has messages gathered, or another one. */
static int add_option(scmp_filter_ctx filter, unsigned option)
{
	const struct scmp_arg_cmp is[] = { { 1, SCMP_CMP_EQ, IPPROTO_TCP, 0 },
					   { 2, SCMP_CMP_EQ, option, 0 } };

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, is);
}

/* The calls by which libcurl connects. On some architectures socketcall(2) would allow all sockets. */
static const char *const connecting[] = { "connect", "getpeername", "getsockname", "getsockopt" };

/* Adds sockets of TCP. */
static int add_sockets(scmp_filter_ctx filter)
{
	const int families[] = { AF_INET, AF_INET6 };
	int error = add_option(filter, TCP_NODELAY);

	for (size_t i = 0; !error && i < sizeof(families) / sizeof(*families); i++) {
		const struct scmp_arg_cmp is[] = {
			{ 0, SCMP_CMP_EQ, (unsigned)families[i], 0 },
			{ 1, SCMP_CMP_MASKED_EQ, ~(SOCK_CLOEXEC | SOCK_NONBLOCK) & 0xffffffffU,
			  SOCK_STREAM },
		};

		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, is);
	}
	for (size_t i = 0; !error && i < sizeof(connecting) / sizeof(*connecting); i++)
		error = add(filter, connecting[i], 0);
	return error;
}

static int add_all(scmp_filter_ctx filter, bool connects)
{
	int error = connects ? add_sockets(filter) : add_option(filter, TCP_CORK);

	for (size_t i = 0; !error && i < sizeof(allowed) / sizeof(*allowed); i++)
		error = add(filter, allowed[i], 0);
	for (size_t i = 0; !error && i < sizeof(mapping) / sizeof(*mapping); i++)
		error = add(filter, mapping[i], 1);
	return error;
}

static int filter_calls(bool connects)
{
	scmp_filter_ctx filter;
	int error;

	/* A kernel without filters does not have this call. */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return -ENOMEM;
	error = add_all(filter, connects);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
#else
static int filter_calls(bool connects)
{
	(void)connects;
	return 0;
}
#endif

/* Sanitizers reserve far more than they use. */
static int limit_memory(uint64_t max_message)
{
#ifdef IPCFS_SANITIZED
	(void)max_message;
	return 0;
#else
	return limit(RLIMIT_AS, MEMORY + 4 * max_message);
#endif
}

int ipcfs_amqp_confine(uint64_t max_message, bool connects)
{
	int error = limit_memory(max_message);

	/* Becoming another user has set these back. */
	if (!error)
		error = ipcfs_amqp_confine_early();
	if (!error)
		error = drop_capabilities();
	return error ? error : filter_calls(connects);
}
