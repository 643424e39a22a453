/* SPDX-License-Identifier: MIT */
/*
 * Checks what happens when two callers act at the same time.
 *
 *	races revoke MOUNT QUEUE ROUNDS	a user opens, reads, writes; root takes the right away
 *	races names MOUNT QUEUE ROUNDS	two users remove and make objects of one name
 *	races waiters MOUNT QUEUE COUNT LIMIT	threads of one user that wait; `waiting` is printed
 *
 * QUEUE is posix/mq/NAME or sysv/msg/0xKEY. Exits 0 or 1; `waiters` goes on until it is killed.
 */
#include <grp.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "peer.h"

enum { USER = 1234, FIRST = 2001 };

static const char *queue;
static char dir[PEER_PATH], packets[PEER_PATH];
static int rounds;

static struct {
	atomic_uint phase; /* of revoke: odd while the user has no right */
	atomic_uint tries, failures, ends;
} * shared;

/* Complaints of the other processes reach the parent this way. */
__attribute__((format(printf, 2, 3))) static void complain(bool holds, const char *format, ...)
{
	va_list args;

	if (holds || atomic_fetch_add(&shared->failures, 1) > 10)
		return;
	va_start(args, format);
	fputs("failed: ", stdout);
	vfprintf(stdout, format, args);
	putchar('\n');
	va_end(args);
	fflush(stdout);
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		peer_die("becoming %u", uid);
}

static pid_t start(void (*run)(uid_t uid), uid_t uid)
{
	pid_t pid = fork();

	if (pid < 0)
		peer_die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become(uid);
		run(uid);
		_exit(0);
	}
	return pid;
}

static int open_packets(int flags)
{
	int fd = open(packets, flags | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int result_of(ssize_t result)
{
	return result < 0 ? -errno : 0;
}

/*
 * An operation that began and ended while the user had no right must fail. Any other result is a
 * race.
 */
static void judge(unsigned phase, int result, const char *what)
{
	atomic_fetch_add(&shared->tries, 1);
	if (phase % 2 == 0 || atomic_load(&shared->phase) != phase)
		return;
	complain(result == -EACCES, "%s: %s after the right was taken away", what,
		 result < 0 ? strerrorname_np(-result) : "done");
}

static void use_revoked(uid_t uid)
{
	int held[2] = { -1, -1 };
	char text[8192];
	unsigned phase;
	int fd;

	(void)uid;
	while (!atomic_load(&shared->ends)) {
		for (int writes = 0; writes < 2; writes++) {
			phase = atomic_load(&shared->phase);
			fd = open_packets(writes ? O_WRONLY : O_RDONLY);
			judge(phase, fd, writes ? "open for writing" : "open");
			if (fd >= 0 && held[writes] < 0)
				held[writes] = fd;
			else if (fd >= 0)
				close(fd);
		}
		phase = atomic_load(&shared->phase);
		if (held[0] >= 0)
			judge(phase, result_of(read(held[0], text, sizeof(text))), "read");
		phase = atomic_load(&shared->phase);
		if (held[1] >= 0)
			judge(phase, result_of(write(held[1], "user", 4)), "write");
	}
}

static int find_direct(void)
{
	int id;

	if (!strncmp(queue, "posix", 5))
		id = mq_open(queue + strlen("posix/mq"), O_RDWR | O_NONBLOCK);
	else
		id = msgget((key_t)strtoul(queue + strlen("sysv/msg/"), NULL, 16), 0);
	if (id < 0)
		peer_die("no queue %s", queue);
	return id;
}

static void chmod_direct(int id, mode_t mode)
{
	struct msqid_ds info;

	if (!strncmp(queue, "posix", 5)) {
		if (fchmod(id, mode))
			peer_die("fchmod");
		return;
	}
	if (msgctl(id, IPC_STAT, &info))
		peer_die("IPC_STAT");
	info.msg_perm.mode = (unsigned short)mode;
	if (msgctl(id, IPC_SET, &info))
		peer_die("IPC_SET");
}

static int send_direct(int id)
{
	struct {
		long type;
		char text[4];
	} message = { 1, "root" };

	if (!strncmp(queue, "posix", 5))
		return mq_send(id, message.text, sizeof(message.text), 0);
	return msgsnd(id, &message, sizeof(message.text), IPC_NOWAIT);
}

/* Counts all messages, and those of the user. */
static unsigned empty_direct(int id, unsigned *users)
{
	struct {
		long type;
		char text[8192];
	} message;
	unsigned count = 0;

	*users = 0;
	for (;; count++) {
		ssize_t got = !strncmp(queue, "posix", 5)
				      ? mq_receive(id, message.text, sizeof(message.text), NULL)
				      : msgrcv(id, &message, sizeof(message.text), 0, IPC_NOWAIT);

		if (got < 0)
			return count;
		*users += got == 4 && !memcmp(message.text, "user", 4);
	}
}

/*
 * Between the daemon's check and its call one request may pass. So of the messages that root sends
 * after the right was taken, one may be received, and one message may be added, but never a second
 * one.
 */
static void take_away(void)
{
	unsigned users, count;
	pid_t pid;
	int id;

	if (mkdir(dir, 0600))
		peer_die("mkdir");
	id = find_direct();
	pid = start(use_revoked, USER);
	for (int i = 0; i < rounds; i++) {
		unsigned tries = atomic_load(&shared->tries);

		atomic_fetch_add(&shared->phase, 2 - atomic_load(&shared->phase) % 2);
		if (chmod(dir, 0666))
			peer_die("chmod");
		while (atomic_load(&shared->tries) < tries + 8)
			sched_yield();
		if (i % 2)
			chmod_direct(id, 0600);
		else if (chmod(dir, 0600))
			peer_die("chmod");
		empty_direct(id, &users);
		atomic_fetch_add(&shared->phase, 1);
		for (int n = 0; n < 3; n++)
			if (send_direct(id))
				peer_die("send");
		tries = atomic_load(&shared->tries);
		while (atomic_load(&shared->tries) < tries + 8)
			sched_yield();
		count = empty_direct(id, &users);
		CHECK(users <= 1, "%u messages were sent without the right", users);
		CHECK(count - users >= 2, "%u of 3 messages were received without the right",
		      3 - (count - users));
	}
	atomic_store(&shared->ends, 1);
	waitpid(pid, NULL, 0);
	rmdir(dir);
}

/* Everything an owner does with its own object works. */
static void own_object(uid_t uid)
{
	char text[8193] = "", expected[16];
	int fd, result;

	snprintf(expected, sizeof(expected), "%u", uid);
	fd = open_packets(O_WRONLY);
	complain(fd >= 0, "%u: its own object can't be opened: %s", uid, strerror(-fd));
	if (fd >= 0) {
		result = result_of(write(fd, expected, strlen(expected)));
		complain(!result, "%u: nothing can be sent to its own object: %s", uid,
			 strerror(-result));
		close(fd);
	}
	fd = open_packets(O_RDONLY);
	complain(fd >= 0, "%u: its own object can't be opened: %s", uid, strerror(-fd));
	if (fd >= 0) {
		result = result_of(read(fd, text, sizeof(text) - 1));
		complain(!result && !strcmp(text, expected), "%u: its own object has '%s' (%d)",
			 uid, text, result);
		close(fd);
	}
	result = result_of(rmdir(dir));
	complain(!result, "%u: its own object can't be removed: %s", uid, strerror(-result));
}

/* The object that exists is, or was, the other user's. */
static void attack(uid_t uid)
{
	int fd = open_packets(O_RDONLY), result = result_of(rmdir(dir));

	complain(fd < 0, "%u opened what the other made", uid);
	complain(result, "%u removed what the other made", uid);
	if (fd >= 0)
		close(fd);
}

static void make_and_remove(uid_t uid)
{
	unsigned made = 0;

	while (!atomic_load(&shared->ends)) {
		if (!mkdir(dir, 0600)) {
			own_object(uid);
			made++;
			atomic_fetch_add(&shared->tries, made == (unsigned)rounds);
			sched_yield();
		} else if (errno == EEXIST) {
			attack(uid);
		} else {
			complain(false, "%u: mkdir: %s", uid, strerror(errno));
		}
	}
}

static void names(void)
{
	pid_t pids[2];

	for (uid_t i = 0; i < 2; i++)
		pids[i] = start(make_and_remove, FIRST + i);
	/* both users have done their rounds */
	while (atomic_load(&shared->tries) < 2 && !atomic_load(&shared->failures))
		peer_sleep_ms(10);
	atomic_store(&shared->ends, 1);
	for (int i = 0; i < 2; i++)
		waitpid(pids[i], NULL, 0);
}

static int waiting_fd;

static void *wait_for_message(void *arg)
{
	char text[8192];
	int result = result_of(read(waiting_fd, text, sizeof(text)));

	complain(result == -EAGAIN, "%s where EAGAIN was due", strerror(-result));
	atomic_fetch_add(&shared->tries, 1);
	return arg;
}

static void waiters(unsigned count, unsigned limit)
{
	pthread_attr_t attributes;
	pthread_t thread;

	become(USER);
	waiting_fd = open(packets, O_RDONLY | O_CLOEXEC);
	if (waiting_fd < 0)
		peer_die("open");
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 32768);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&thread, &attributes, wait_for_message, NULL))
			peer_die("thread %u", i);
	while (atomic_load(&shared->tries) < count - limit)
		peer_sleep_ms(10);
	peer_sleep_ms(100);
	complain(atomic_load(&shared->tries) == count - limit, "%u of %u wait",
		 count - atomic_load(&shared->tries), limit);
	puts(atomic_load(&shared->failures) ? "failed" : "waiting");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	if (argc < 5)
		peer_die("bad arguments");
	queue = argv[3];
	rounds = atoi(argv[4]);
	peer_path(dir, "%s/%s", argv[2], queue);
	peer_path(packets, "%s/packets", dir);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		peer_die("mmap");
	if (!strcmp(argv[1], "revoke"))
		take_away();
	else if (!strcmp(argv[1], "names"))
		names();
	else
		waiters((unsigned)rounds, argc > 5 ? (unsigned)atoi(argv[5]) : 0);
	peer_failures += atomic_load(&shared->failures);
	return peer_result("races");
}
