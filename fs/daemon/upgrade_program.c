/* SPDX-License-Identifier: MIT */
#include "fs/daemon/upgrade_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"

/* Returns why a file is not to be executed. NULL: it may be. */
static const char *refusal(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_mode & 022)
		return "others may write it";
	return NULL;
}

int ipcfs_upgrade_program_open(const char *path, const char **why)
{
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC);

	*why = fd < 0 || fstat(fd, &st) < 0 ? strerror(errno) : refusal(&st);
	if (*why)
		ipcfs_descriptor_close(&fd);
	return fd;
}

/*
 * Executes the program with an option, a number and the arguments of this process, for those who
 * look at it. Returns only after an error.
 */
static int execute(int program, const char *option, int number, char **arguments)
{
	char first[64], **argv;
	size_t count = 0;
	int err;

	while (arguments[count])
		count++;
	argv = calloc(count + 2, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	(void)snprintf(first, sizeof(first), "%s%d", option, number);
	argv[0] = arguments[0];
	argv[1] = first;
	if (arguments[1] &&
	    strncmp(arguments[1], IPCFS_UPGRADE_RESUME, strlen(IPCFS_UPGRADE_RESUME)) == 0)
		arguments++;
	for (size_t i = 1; i < count && arguments[i]; i++)
		argv[i + 1] = arguments[i];
	fexecve(program, argv, environ);
	err = -errno;
	free(argv);
	return err;
}

static _Noreturn void run_check(int program, const struct ipcfs_handover *state, int file,
				char **arguments, int answer)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setsid();
	ipcfs_handover_inherit(state, true);
	(void)fcntl(file, F_SETFD, 0);
	(void)fcntl(program, F_SETFD, 0); /* an interpreter opens it */
	if (dup2(answer, STDOUT_FILENO) < 0 || dup2(answer, STDERR_FILENO) < 0)
		_exit(1);
	err = execute(program, IPCFS_UPGRADE_CHECK, file, arguments);
	dprintf(STDOUT_FILENO, "%s\n", strerror(-err));
	_exit(1);
}

pid_t ipcfs_upgrade_program_check(int program, const struct ipcfs_handover *state, int file,
				  char **arguments, int *answer)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		run_check(program, state, file, arguments, ends[1]);
	if (child < 0)
		child = -errno;
	close(ends[1]);
	if (child < 0)
		ipcfs_descriptor_close(&ends[0]);
	*answer = ends[0];
	return child;
}

int ipcfs_upgrade_program_execute(int program, const struct ipcfs_handover *state, char **arguments)
{
	int file = ipcfs_handover_write(state), err;

	if (file < 0)
		return file;
	ipcfs_handover_inherit(state, true);
	(void)fcntl(file, F_SETFD, 0);
	err = execute(program, IPCFS_UPGRADE_RESUME, file, arguments);
	ipcfs_handover_inherit(state, false);
	close(file);
	return err;
}
