/* SPDX-License-Identifier: MIT */
#include "backends/space/message_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/base/order.h"
#include "backends/contract/descriptor.h"

#define START_MS 2000
#define ORDER_MS 1000 /* on a loaded machine, the process may not run for a while */
#define SIGNALS_MAX 50

/* Waits until the descriptor can be read (POLLIN) or written (POLLOUT), or has another event. */
static bool wait_for(int fd, short events, int ms)
{
	struct pollfd ready = { .fd = fd, .events = events };
	unsigned signals = 0;
	int found;

	do { /* each signal, as the kicks of a waiting thread, begins the time anew */
		found = poll(&ready, 1, ms);
	} while (found < 0 && errno == EINTR && ++signals < SIGNALS_MAX);
	return found == 1;
}

/* Kills a process that a worker before has made, which is nobody's child here. */
static void kill_by(int life)
{
	if (!syscall(SYS_pidfd_send_signal, life, SIGKILL, NULL, 0))
		while (!wait_for(life, POLLIN, START_MS))
			;
}

void ipcfs_message_process_end(struct ipcfs_message_process *process)
{
	/* Its end comes first: a process whose socket is closed takes the daemon for dead. */
	if (!process->pid && process->life >= 0)
		kill_by(process->life);
	else if (process->pid && !kill(process->pid, SIGKILL))
		while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
			;
	process->pid = 0;
	ipcfs_descriptor_close(&process->life);
	ipcfs_descriptor_close(&process->socket);
}

/* Returns the process's number, or a negative error. */
static pid_t fork_process(const struct ipcfs_message_sender *start)
{
	sigset_t all, before;
	pid_t pid;
	int error;

	/* The process has to outlive the daemon, and so whatever signal ends the daemon. */
	(void)sigfillset(&all);
	error = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return error;
	pid = fork();
	if (pid == 0)
		ipcfs_message_sender_run(start);
	error = -errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: a valid mask */
	return pid < 0 ? error : pid;
}

/* Waits until the process is ready. */
static int await_start(int socket)
{
	char byte;

	if (wait_for(socket, POLLIN, START_MS) && recv(socket, &byte, 1, MSG_DONTWAIT) == 1)
		return 0;
	return -ENOLCK;
}

static int open_life(struct ipcfs_message_process *process)
{
	process->life = (int)syscall(SYS_pidfd_open, process->pid, 0); /* close-on-exec */
	return process->life < 0 ? -errno : 0;
}

int ipcfs_message_process_start(struct ipcfs_message_process *process,
				const struct ipcfs_message_sender *start, bool lasts)
{
	struct ipcfs_message_process fresh = IPCFS_MESSAGE_PROCESS_NONE;
	struct ipcfs_message_sender its = *start;
	int ends[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	fresh.socket = ends[0];
	its.socket = ends[1];
	fresh.pid = fork_process(&its);
	ipcfs_descriptor_close(&ends[1]);
	if (fresh.pid < 0) {
		error = fresh.pid;
		fresh.pid = 0;
	}
	if (!error)
		error = await_start(fresh.socket);
	if (!error && lasts)
		error = open_life(&fresh);
	if (error)
		ipcfs_message_process_end(&fresh);
	*process = fresh;
	return error;
}

bool ipcfs_message_process_has_ended(const struct ipcfs_message_process *process)
{
	struct pollfd end = { .fd = process->socket };

	return process->socket >= 0 && poll(&end, 1, 0) == 1 && end.revents & (POLLHUP | POLLERR);
}

int ipcfs_message_process_order(const struct ipcfs_message_process *process,
				const struct ipcfs_message_sender_order *order, int fd)
{
	int error = ipcfs_order_send(process->socket, order, sizeof(*order), fd, MSG_DONTWAIT);

	if (error == -EAGAIN && wait_for(process->socket, POLLOUT, ORDER_MS))
		error = ipcfs_order_send(process->socket, order, sizeof(*order), fd, MSG_DONTWAIT);
	return error;
}
