/* SPDX-License-Identifier: MIT */
#include "backends/amqp/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/contract/amqp.h"
#include "backends/contract/descriptor.h"

#define ANSWER_MS 1000 /* that the process has for an answer */
#define PROGRAMS_MAX (2 * IPCFS_AMQP_CONNECTIONS_MAX)

static struct {
	pthread_mutex_t lock; /* one order at a time */
	int socket;
	const char *programs[PROGRAMS_MAX];
	int count;
} starter = { .lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1 };

/* An order to the process. */
struct order {
	uint8_t program;
	uint8_t role; /* enum ipcfs_amqp_role */
};

int ipcfs_amqp_starter_program(const char *path)
{
	if (starter.count == PROGRAMS_MAX)
		return -ENOSPC;
	starter.programs[starter.count] = path;
	return starter.count++;
}

/* From here on to ipcfs_amqp_starter_fork, the code runs in the process. */

/* Executes a program with this socket as its standard input and nothing else open. */
static _Noreturn void execute(const struct order *order, int socket)
{
	static const char *const words[] = {
		[IPCFS_AMQP_PUBLISH] = "publish",
		[IPCFS_AMQP_CONSUME] = "consume",
		[IPCFS_AMQP_ASK_API] = "api",
	};
	char *const arguments[] = { (char *)"ipcfs-amqp", (char *)words[order->role], NULL };
	char *const environment[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)signal(SIGCHLD, SIG_DFL);
	if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0 &&
	    dup2(socket, STDIN_FILENO) >= 0 && !syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0))
		(void)execve(starter.programs[order->program], arguments, environment);
	_exit(127);
}

/* Starts a program. Returns the other end of its socket, or a negative errno. */
static int start(const struct order *order)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (pid == 0)
		execute(order, ends[1]);
	ipcfs_descriptor_close(&ends[1]);
	if (pid > 0)
		return ends[0];
	ipcfs_descriptor_close(&ends[0]);
	return -EAGAIN;
}

/* Answers with a descriptor, or with a negative errno alone. */
static bool answer(int result)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &result, .iov_len = sizeof(result) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (result >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &result, sizeof(int));
	}
	return sendmsg(STDIN_FILENO, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(result);
}

/* Follows orders until the daemon has ended. */
static _Noreturn void serve(void)
{
	bool goes_on = true;
	struct order order;

	while (goes_on) {
		ssize_t size = recv(STDIN_FILENO, &order, sizeof(order), 0);
		int result;

		if (size < 0 && errno == EINTR)
			continue;
		if (size != sizeof(order) || order.program >= starter.count ||
		    order.role > IPCFS_AMQP_ASK_API)
			break;
		result = start(&order);
		goes_on = answer(result);
		ipcfs_descriptor_close(&result);
	}
	_exit(0);
}

/*
 * Keeps what ipcfs-amqp takes to become another user. The program gets no more either, since
 * PR_SET_NO_NEW_PRIVS is set: root reads its files as their owner. False: that fails.
 */
static bool keep_capabilities(void)
{
	const uint32_t kept = CAP_TO_MASK(CAP_SETUID) | CAP_TO_MASK(CAP_SETGID);
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets))
		return false;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= i == 0 ? kept : 0;
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return !syscall(SYS_capset, &header, sets);
}

/* Leaves the surroundings of the daemon, and closes what it has open. */
static _Noreturn void run(int socket)
{
	sigset_t none;

	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-starter");
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(SIGCHLD, SIG_IGN); /* no zombies */
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || !keep_capabilities() || chdir("/") ||
	    dup2(socket, STDIN_FILENO) < 0 || syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0))
		_exit(1);
	serve();
}

int ipcfs_amqp_starter_fork(void)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (pid == 0)
		run(ends[1]);
	ipcfs_descriptor_close(&ends[1]);
	if (pid < 0) {
		ipcfs_descriptor_close(&ends[0]);
		return -EAGAIN;
	}
	starter.socket = ends[0];
	return 0;
}

/* Receives an answer. Returns the descriptor, or a negative errno. */
static int receive_answer(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	int result = 0, fd = -1;
	struct iovec iov = { .iov_base = &result, .iov_len = sizeof(result) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t size = recvmsg(starter.socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (size != sizeof(result))
		return -EHOSTDOWN;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	if (fd >= 0)
		return fd;
	return result < 0 ? result : -EMFILE;
}

/* Sends an order, and waits for the answer. An answer that comes late would be taken for the next. */
static int give_order(const struct order *order)
{
	struct pollfd answered = { .fd = starter.socket, .events = POLLIN };

	if (starter.socket < 0 ||
	    send(starter.socket, order, sizeof(*order), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -EHOSTDOWN;
	if (poll(&answered, 1, ANSWER_MS) == 1)
		return receive_answer();
	ipcfs_descriptor_close(&starter.socket);
	return -EHOSTDOWN;
}

int ipcfs_amqp_starter_run(int program, enum ipcfs_amqp_role role)
{
	const struct order order = { .program = (uint8_t)program, .role = (uint8_t)role };
	int result;

	pthread_mutex_lock(&starter.lock);
	result = give_order(&order);
	pthread_mutex_unlock(&starter.lock);
	return result;
}

void ipcfs_amqp_starter_stop(void)
{
	pthread_mutex_lock(&starter.lock);
	ipcfs_descriptor_close(&starter.socket);
	pthread_mutex_unlock(&starter.lock);
}
