/* SPDX-License-Identifier: MIT */
#include "fs/daemon/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"

/* Tells whether this process was told to end while the signals were blocked. */
static bool is_interrupted(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

/* Waits in the parent for a byte from the child, which means ready, or for the child's end. */
static int wait_until_ready(pid_t child, int pipe_end)
{
	char byte;
	ssize_t got;
	int status = 0;
	bool interrupted;

	do
		got = read(pipe_end, &byte, 1);
	while (got < 0 && errno == EINTR);
	interrupted = is_interrupted();
	if (got == 1 && !interrupted)
		_exit(0);
	close(pipe_end);
	if (interrupted)
		kill(child, SIGTERM);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (interrupted)
		return -EINTR;
	if (!WIFSIGNALED(status))
		return -ECHILD;
	ipcfs_log(LOG_ERR, "ended by signal %d before it was ready", WTERMSIG(status));
	return -EOWNERDEAD;
}

int ipcfs_daemonize_fork(int *ready)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		int error = errno;

		close(ends[0]);
		close(ends[1]);
		return -error;
	}
	if (child > 0) {
		close(ends[1]);
		return wait_until_ready(child, ends[0]);
	}
	close(ends[0]);
	*ready = ends[1];
	/* Neither fails: a new child does not lead a process group, and "/" exists. */
	if (setsid() < 0 || chdir("/") < 0)
		ipcfs_log(LOG_WARNING, "can't leave the terminal: %s", strerror(errno));
	return 0;
}

void ipcfs_daemonize_leave(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ipcfs_log_background();
	if (null < 0) {
		/* A process that reads the daemon's output must see its end all the same. */
		ipcfs_log(LOG_WARNING, "/dev/null: %s", strerror(errno));
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	} else {
		for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
			if (dup2(null, stream) < 0)
				ipcfs_log(LOG_WARNING, "/dev/null: %s", strerror(errno));
		if (null > STDERR_FILENO)
			close(null);
	}
}

void ipcfs_daemonize_ready(int ready)
{
	ssize_t put;

	ipcfs_daemonize_leave();
	do
		put = write(ready, "", 1);
	while (put < 0 && errno == EINTR);
	/* EPIPE: the parent was killed. The daemon serves all the same. */
	close(ready);
}
