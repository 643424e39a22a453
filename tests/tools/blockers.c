/* SPDX-License-Identifier: MIT */
/*
 * Starts many readers that wait.
 *
 *	blockers MOUNT COUNT posix|sysv one|many DAEMON_PID
 *
 * COUNT processes block in a read, all on one queue or each on its own. Prints as key=value the
 * memory of the daemon and the time of other requests, before and meanwhile, and how long all
 * readers took to start, and to end after a signal. Checks that they end within a second, and half a
 * millisecond for each, with EINTR if they handle the signal. The caller judges the figures.
 */
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "peer.h"

enum { ROUNDS = 4000 };
static int rounds; /* fewer if few readers wait: the caller then does not judge the times */

static bool posix;
static const char *mount;
static atomic_uint *waiting; /* shared: readers that are about to block */

static const char *queue_path(char *path, unsigned number, const char *file)
{
	if (posix)
		return peer_path(path, "%s/posix/mq/blockers%u%s", mount, number, file);
	return peer_path(path, "%s/sysv/msg/0x%08x%s", mount, 0xb10c0000 + number, file);
}

static void make_queue(unsigned number)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 128 };
	char name[32];
	mqd_t mqd;

	if (!posix) {
		if (msgget((key_t)(0xb10c0000 + number), IPC_CREAT | 0600) < 0)
			peer_die("msgget");
		return;
	}
	snprintf(name, sizeof(name), "/blockers%u", number);
	mqd = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
	if (mqd < 0)
		peer_die("mq_open");
	mq_close(mqd);
}

static void remove_queue(unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "/blockers%u", number);
	if (posix)
		mq_unlink(name);
	else
		msgctl(msgget((key_t)(0xb10c0000 + number), 0), IPC_RMID, NULL);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* One reader in two handles the signal; the others are ended by it. */
static pid_t start_reader(unsigned queue, bool handles)
{
	const struct sigaction action = { .sa_handler = on_signal };
	char path[PEER_PATH], byte[4096];
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		peer_die("fork");
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (handles)
		sigaction(SIGUSR1, &action, NULL);
	fd = open(queue_path(path, queue, "/msg"), O_RDONLY);
	atomic_fetch_add(waiting, 1);
	if (fd < 0)
		_exit(3);
	if (read(fd, byte, sizeof(byte)) < 0 && errno == EINTR)
		_exit(0);
	_exit(errno ? errno : 4);
}

static long resident_kib(pid_t pid)
{
	char path[PEER_PATH], text[4096];
	const char *at;

	if (peer_read_file(peer_path(path, "/proc/%d/smaps_rollup", pid), text, sizeof(text)) < 0)
		peer_die("%s", path);
	at = strstr(text, "Rss:");
	return at ? strtol(at + 4, NULL, 10) : -1;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/*
 * Median microseconds of a stat, and of a write and read of 64 bytes, on a queue without readers.
 * On one CPU: the placement of threads matters more than what they do.
 */
static void time_others(double *of_stat, double *of_message)
{
	static double stats[ROUNDS], messages[ROUNDS];
	char path[PEER_PATH], text[128] = "";
	int fd = open(queue_path(path, 0, "/packets"), O_RDWR | O_CLOEXEC);
	cpu_set_t all, one;
	struct stat st;

	if (fd < 0)
		peer_die("%s", path);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_getaffinity(0, sizeof(all), &all) || sched_setaffinity(0, sizeof(one), &one))
		peer_die("affinity");
	queue_path(path, 0, "");
	for (int i = 0; i < rounds; i++) {
		double began = peer_now(), half;

		CHECK(!stat(path, &st), "stat %s: %s", path, strerror(errno));
		half = peer_now();
		CHECK(write(fd, text, 64) == 64, "write: %s", strerror(errno));
		CHECK(read(fd, text, sizeof(text)) == 64, "read: %s", strerror(errno));
		messages[i] = (peer_now() - half) * 1e6;
		stats[i] = (half - began) * 1e6;
	}
	close(fd);
	if (sched_setaffinity(0, sizeof(all), &all))
		peer_die("affinity");
	qsort(stats, (size_t)rounds, sizeof(*stats), by_value);
	qsort(messages, (size_t)rounds, sizeof(*messages), by_value);
	*of_stat = stats[rounds / 2];
	*of_message = messages[rounds / 2];
}

/* Sends the signal to all readers and waits until they have ended. Returns milliseconds. */
static double end_all(const pid_t *pids, unsigned count)
{
	double began = peer_now(), deadline = began + 10 + count / 500.0;
	unsigned ended = 0, strange = 0;
	int status;

	for (unsigned i = 0; i < count; i++)
		kill(pids[i], SIGUSR1);
	while (ended < count && peer_now() < deadline) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			ended++;
			strange += !(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
				   !(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
		} else {
			usleep(200);
		}
	}
	CHECK(ended == count, "%u of %u readers do not end", count - ended, count);
	CHECK(!strange, "%u readers ended with something else than EINTR", strange);
	return (peer_now() - began) * 1000;
}

int main(int argc, char **argv)
{
	double stat_before, message_before, stat_with, message_with, stat_after, message_after;
	double began, made, ms;
	long before, with;
	unsigned count, queues;
	pid_t *pids, daemon;

	if (argc < 6) {
		fprintf(stderr, "usage: %s MOUNT COUNT posix|sysv one|many DAEMON_PID\n", argv[0]);
		return 2;
	}
	mount = argv[1];
	count = (unsigned)strtoul(argv[2], NULL, 10);
	rounds = count < 200 ? 200 : ROUNDS;
	posix = !strcmp(argv[3], "posix");
	queues = strcmp(argv[4], "many") ? 1 : count;
	daemon = (pid_t)strtol(argv[5], NULL, 10);
	pids = calloc(count, sizeof(*pids));
	waiting = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!pids || waiting == MAP_FAILED)
		peer_die("memory");
	peer_raise_limits();
	for (unsigned i = 0; i <= queues; i++)
		make_queue(i);
	time_others(&stat_before,
		    &message_before); /* also: all memory that is needed is allocated now */
	time_others(&stat_before, &message_before);
	before = resident_kib(daemon);
	fflush(stdout);
	began = peer_now();
	for (unsigned i = 0; i < count; i++)
		pids[i] = start_reader(1 + i % queues, i % 2);
	for (unsigned tries = 0; *waiting < count && tries < 500 + count; tries++)
		peer_sleep_ms(20);
	CHECK(*waiting == count, "%u of %u readers do not wait", count - *waiting, count);
	made = (peer_now() - began) * 1000;
	peer_sleep_ms(500);
	CHECK(waitpid(-1, NULL, WNOHANG) == 0, "a reader ended by itself");
	with = resident_kib(daemon);
	time_others(&stat_with, &message_with);
	ms = end_all(pids, count);
	CHECK(ms < (1000 + count / 2) * peer_slow(), "ending %u readers took %.0f ms", count, ms);
	time_others(&stat_after, &message_after);
	printf("resident_before_kib=%ld\nresident_with_kib=%ld\nresident_after_kib=%ld\n"
	       "per_waiter_kib=%.2f\nstat_before_us=%.2f\nstat_with_us=%.2f\nstat_after_us=%.2f\n"
	       "message_before_us=%.2f\nmessage_with_us=%.2f\nmessage_after_us=%.2f\nmade_ms=%.1f\n"
	       "ended_ms=%.1f\n",
	       before, with, resident_kib(daemon), (double)(with - before) / count, stat_before,
	       stat_with, stat_after, message_before, message_with, message_after, made, ms);
	for (unsigned i = 0; i <= queues; i++)
		remove_queue(i);
	free(pids);
	return peer_result("blockers");
}
