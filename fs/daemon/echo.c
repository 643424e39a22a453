/* SPDX-License-Identifier: MIT */
/*
 * inotify(7) on a FUSE file system tells of what is done through it, and of nothing that its server
 * says: neither FUSE_NOTIFY_INVAL_ENTRY nor FUSE_NOTIFY_DELETE tells those who watch the directory.
 * So a process makes and removes the object's directory once more, through the mount.
 *
 * It is no thread of the daemon. While it waits for the daemon's answer, it cannot be killed; the
 * daemon's end ends that, as the process does not have /dev/fuse open.
 */
#include "fs/daemon/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/daemon/mountpoint.h"
#include "fs/daemon/sandbox.h"

#define PIPE_BYTES (1024 * 1024)

struct process {
	const char *mountpoint;
	dev_t device;
	pid_t daemon;
	int orders;
	atomic_bool *makes;
};

/* Opens the root of the mount. -1: another file system is there, or none. */
static int open_mount(const struct process *process)
{
	int root = open(process->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t number;
	dev_t device;

	if (root < 0 || (!ipcfs_mountpoint_of(root, &number, &device) && device == process->device))
		return root;
	close(root);
	return -1;
}

/* Does what the order says. The mount is busy for as long only. */
static void follow_order(const struct process *process, const struct ipcfs_echo_order *order)
{
	int root = open_mount(process);

	if (root < 0)
		return;
	atomic_store(process->makes, order->makes);
	/* what fails tells nobody: the object was removed, or the mount is read-only */
	if (order->makes)
		(void)mkdirat(root, order->path, 0700);
	else
		(void)unlinkat(root, order->path, AT_REMOVEDIR);
	close(root);
}

/* Leaves the daemon's privileges, terminal and files, and has the kernel end it with the daemon. */
static int leave_daemon(const struct process *process)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != process->daemon)
		return -EPERM;
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (dup2(null, stream) < 0)
			return -errno;
	if ((process->orders > STDERR_FILENO + 1 &&
	     syscall(SYS_close_range, STDERR_FILENO + 1, process->orders - 1, 0)) ||
	    syscall(SYS_close_range, process->orders + 1, ~0U, 0))
		return -errno;
	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-inotify");
	if (chdir("/") || syscall(SYS_capset, &header, none))
		return -errno;
	return ipcfs_sandbox_echo();
}

static _Noreturn void run(const struct process *process)
{
	struct ipcfs_echo_order order;
	sigset_t all;
	ssize_t got;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (leave_daemon(process))
		_exit(1);
	/* orders are written as a whole, as they are shorter than PIPE_BUF */
	while ((got = read(process->orders, &order, sizeof(order))) == sizeof(order))
		follow_order(process, &order);
	_exit(got ? 1 : 0);
}

/* Forks the process. `ends`: the pipe. */
static int start(struct ipcfs_echo *echo, struct process *process, const int ends[2])
{
	/* fewer bytes are enough for most */
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (fcntl(ends[1], F_SETFL, O_WRONLY | O_NONBLOCK) < 0)
		return -errno;
	process->orders = ends[0];
	echo->process = fork();
	if (echo->process == 0)
		run(process);
	return echo->process < 0 ? -errno : 0;
}

int ipcfs_echo_start(struct ipcfs_echo *echo, const char *mountpoint, dev_t device)
{
	struct process process = { mountpoint, device, getpid(), -1, NULL };
	void *shared = mmap(NULL, sizeof(*echo->makes), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ends[2], err;

	if (shared == MAP_FAILED)
		return -errno;
	process.makes = echo->makes = shared;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	err = start(echo, &process, ends);
	close(ends[0]);
	echo->orders = ends[1];
	if (err) {
		echo->process = 0;
		close(ends[1]);
	}
	return err;
}
