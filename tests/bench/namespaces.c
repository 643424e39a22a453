/* SPDX-License-Identifier: MIT */
/*
 * IPC namespaces as containers have them: each with a mount namespace and a /dev/shm of its own.
 *
 *	namespaces switch COUNT		microseconds: setns(2) there and back; stat(2) of
 *					/proc/self/ns/ipc
 *	namespaces crowd COUNT		COUNT processes sleep in one each. Prints `ready`, ends
 *					them when its input ends, and prints the microseconds
 *					that took
 *	namespaces lives MOUNT COUNT	one after the other makes a queue of each family through
 *					MOUNT, sends, receives, ends. Prints lives a second. POSIX
 *					queues are charged to the caller's real user and the 999
 *					users after it, by turns
 *
 * `switch` prints medians of batches that take turns.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../tools/peer.h"

enum { BATCHES = 101, FULL_MS = 20000, PAYERS = 1000 };

/* ENOSPC: the kernel has not freed yet what the ones before have left. */
static void enter_container(void)
{
	int tries = 0;

	while (unshare(CLONE_NEWIPC | CLONE_NEWNS)) {
		if (errno != ENOSPC || ++tries > FULL_MS)
			peer_die("unshare");
		peer_sleep_ms(1);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"))
		peer_die("mount /dev/shm");
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values)
{
	qsort(values, BATCHES, sizeof(*values), by_value);
	return values[BATCHES / 2];
}

static int own_namespace(void)
{
	int fd = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		peer_die("/proc/self/ns/ipc");
	return fd;
}

static double time_switches(const int *spaces, unsigned long count)
{
	double began = peer_now();

	for (unsigned long i = 0; i < count; i++)
		if (setns(spaces[1], CLONE_NEWIPC) || setns(spaces[0], CLONE_NEWIPC))
			peer_die("setns");
	return (peer_now() - began) * 1e6 / (double)count;
}

static double time_stats(unsigned long count)
{
	double began = peer_now();
	struct stat st;

	for (unsigned long i = 0; i < count; i++)
		if (stat("/proc/self/ns/ipc", &st))
			peer_die("/proc/self/ns/ipc");
	return (peer_now() - began) * 1e6 / (double)count;
}

static void switches(unsigned long count)
{
	static double there[BATCHES], stats[BATCHES];
	int spaces[2];

	spaces[0] = own_namespace();
	if (unshare(CLONE_NEWIPC))
		peer_die("unshare");
	spaces[1] = own_namespace();
	for (int i = 0; i < BATCHES; i++) {
		there[i] = time_switches(spaces, count / BATCHES + 1);
		stats[i] = time_stats(count / BATCHES + 1);
	}
	printf("%.3f %.3f\n", median(there), median(stats));
}

static pid_t start_sleeper(int ready)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		peer_die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	enter_container();
	if (write(ready, "", 1) != 1)
		peer_die("pipe");
	close(ready);
	close(STDIN_FILENO);
	for (;;)
		pause();
}

static void crowd(unsigned long count)
{
	pid_t *sleepers = calloc(count, sizeof(*sleepers));
	unsigned long arrived = 0;
	double began;
	int ready[2];
	char c;

	if (!sleepers || pipe2(ready, O_CLOEXEC))
		peer_die("pipe");
	for (unsigned long i = 0; i < count; i++)
		sleepers[i] = start_sleeper(ready[1]);
	close(ready[1]);
	while (arrived < count && read(ready[0], &c, 1) == 1)
		arrived++;
	if (arrived == count)
		puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	began = peer_now();
	for (unsigned long i = 0; i < count; i++)
		kill(sleepers[i], SIGKILL);
	for (unsigned long i = 0; i < count; i++)
		while (waitpid(sleepers[i], NULL, 0) < 0 && errno == EINTR)
			;
	printf("%.0f\n", (peer_now() - began) * 1e6);
	free(sleepers);
}

static void use_queue(const char *mount, const char *queue)
{
	char path[PEER_PATH], text[64];
	int error;
	ssize_t got;

	peer_path(path, "%s/%s", mount, queue);
	if (mkdir(path, 0700))
		peer_die("mkdir %s", path);
	peer_path(path, "%s/%s/msg", mount, queue);
	error = peer_write_file(path, "a message");
	if (error) {
		errno = -error;
		peer_die("sending to %s", path);
	}
	got = peer_read_file(path, text, 10);
	if (got != 9) {
		errno = got < 0 ? (int)-got : 0;
		peer_die("receiving from %s", path);
	}
}

static void lives(const char *mount, unsigned long count)
{
	double began = peer_now();
	int status;
	pid_t pid;

	for (unsigned long i = 0; i < count; i++) {
		pid = fork();
		if (pid < 0)
			peer_die("fork");
		if (!pid) {
			enter_container();
			/*
			 * POSIX queues are charged to the real user until the kernel has freed
			 * them.
			 */
			if (setresuid(getuid() + (uid_t)i % PAYERS, 0, 0))
				peer_die("setresuid");
			use_queue(mount, "posix/mq/life");
			use_queue(mount, "sysv/msg/0x00007001");
			_exit(0);
		}
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			exit(2);
	}
	printf("%.0f\n", (double)count / (peer_now() - began));
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 2 ? strtoul(argv[argc - 1], NULL, 10) : 0;

	if (count && argc == 3 && !strcmp(argv[1], "switch")) {
		switches(count);
	} else if (count && argc == 3 && !strcmp(argv[1], "crowd")) {
		crowd(count);
	} else if (count && argc == 4 && !strcmp(argv[1], "lives")) {
		lives(argv[2], count);
	} else {
		fprintf(stderr, "usage: %s switch|crowd COUNT, or lives MOUNT COUNT\n", argv[0]);
		return 2;
	}
	return 0;
}
