/* SPDX-License-Identifier: MIT */
#include "fs/daemon/unmounter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/daemon/mountpoint.h"

/* Redirects the standard streams to /dev/null, and closes everything else but `fd`. */
static bool close_all_but(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return false;
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (dup2(null, stream) < 0)
			return false;
	if (fd > STDERR_FILENO + 1 && syscall(SYS_close_range, STDERR_FILENO + 1, fd - 1, 0) < 0)
		return false;
	return syscall(SYS_close_range, fd + 1, ~0U, 0) == 0;
}

static _Noreturn void run_unmounter(int fd, const char *path)
{
	sigset_t all;
	ssize_t got;
	char byte;

	/* Signals that end the daemon, or its terminal, must not end this process. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-unmount");
	if (!close_all_but(fd) || chdir("/") < 0)
		_exit(1);
	do {
		got = read(fd, &byte, 1);
	} while (got < 0 && errno == EINTR);
	_exit(got == 1 && ipcfs_mountpoint_detach(path) < 0 ? 1 : 0);
}

int ipcfs_unmounter_start(const char *path, struct ipcfs_unmounter *unmounter)
{
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	unmounter->process = fork();
	if (unmounter->process == 0)
		run_unmounter(ends[0], path);
	error = unmounter->process < 0 ? -errno : 0;
	close(ends[0]);
	if (error)
		close(ends[1]);
	unmounter->fd = error ? -1 : ends[1];
	return error;
}

/* Closes the pipe, and waits for the end of the process. -EPERM: it failed. */
static int wait_for_exit(struct ipcfs_unmounter *unmounter)
{
	int status = 0;

	close(unmounter->fd);
	unmounter->fd = -1;
	while (waitpid(unmounter->process, &status, 0) < 0)
		if (errno != EINTR)
			return -EPERM;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int ipcfs_unmounter_detach(struct ipcfs_unmounter *unmounter)
{
	ssize_t put;

	do {
		put = write(unmounter->fd, "", 1);
	} while (put < 0 && errno == EINTR);
	return wait_for_exit(unmounter) < 0 || put < 0 ? -EPERM : 0;
}

void ipcfs_unmounter_end(struct ipcfs_unmounter *unmounter)
{
	if (unmounter->fd >= 0)
		(void)wait_for_exit(unmounter);
}
