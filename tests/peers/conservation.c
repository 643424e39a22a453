/* SPDX-License-Identifier: MIT */
/*
 * Every message is accounted for exactly once.
 *
 *	conservation MOUNT SECONDS posix|sysv [SEED]
 *
 * Writers and readers, through the mount and directly, work on one queue while they are killed at
 * random and replaced. Each message carries an id of its own; two tables shared by all processes say
 * what became of each id: `fate` (attempted, sent) and `taken` (which reader has it). A reader's
 * buffer is shared memory too: what a killed reader was given, but had not noted yet, is found there.
 * So at the end nothing may be missing but what a killed writer had not finished to send.
 */
#include <mqueue.h>
#include <signal.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ledger.h"

enum way { WAY_MSG, WAY_LINES, WAY_PACKETS, WAY_DIRECT };

struct slot {
	const char *name;
	enum { WRITES, READS } does;
	enum way way;
	size_t request; /* readers: bytes of one read; writers: lines of one write */
	bool nonblock;
	pid_t pid;
	uint32_t life; /* number of this incarnation, over all slots */
	char *buffer;  /* shared; readers */
};

static struct slot slots[] = {
	{ .name = "msg writer", WRITES, WAY_MSG },
	{ .name = "lines writer", WRITES, WAY_LINES, BATCH },
	{ .name = "nonblocking lines writer", WRITES, WAY_LINES, BATCH, true },
	{ .name = "packets writer", WRITES, WAY_PACKETS },
	{ .name = "direct sender", WRITES, WAY_DIRECT },
	{ .name = "msg reader", READS, WAY_MSG, 64 * 1024 },
	{ .name = "msg reader, small buffer", READS, WAY_MSG, 64 },
	{ .name = "lines reader", READS, WAY_LINES, 8192 },
	{ .name = "lines reader, small buffer", READS, WAY_LINES, 64 },
	{ .name = "lines reader, large buffer", READS, WAY_LINES, 128 * 1024 },
	{ .name = "packets reader", READS, WAY_PACKETS, 64 * 1024 },
	{ .name = "direct receiver", READS, WAY_DIRECT, 64 * 1024 },
};
enum { SLOTS = sizeof(slots) / sizeof(*slots) };

static bool posix;
static char queue_dir[PEER_PATH];
static const char mq_name[] = "/conservation";
static int msqid = -1;
static mqd_t mqd = (mqd_t)-1;

/* The processes. They end only by SIGKILL, or by an error that is a failure of the test. */

static void on_signal(int signal)
{
	(void)signal;
}

__attribute__((noreturn)) static void give_up(const struct slot *slot, const char *call)
{
	int error = errno;

	/* The end of the test removes nothing while processes run: no error is expected. */
	atomic_fetch_add(&shared->errors, 1);
	peer_fail("%s: %s: %s", slot->name, call, strerror(error));
	_exit(1);
}

static bool interrupted(void)
{
	if (errno != EINTR)
		return false;
	atomic_fetch_add(&shared->eintr, 1);
	return true;
}

static void pause_a_little(bool slow)
{
	if (slow)
		usleep(1000 + peer_random(&rng) % 5000);
	else if (peer_random(&rng) % 256 == 0)
		usleep(peer_random(&rng) % 2000);
}

static int open_file(const struct slot *slot, int flags)
{
	static const char *const names[] = { "msg", "lines", "packets" };
	char path[PEER_PATH];
	int fd;

	peer_path(path, "%s/%s", queue_dir, names[slot->way]);
	while ((fd = open(path, flags | O_CLOEXEC)) < 0)
		if (!interrupted())
			give_up(slot, path);
	return fd;
}

static void send_direct(const struct slot *slot, char *text, size_t size)
{
	struct {
		long type;
		char text[LARGEST + 100];
	} message = { 1, "" };

	memcpy(message.text, text, size);
	while (posix ? mq_send(mqd, text, size, 0) : msgsnd(msqid, &message, size, 0))
		if (!interrupted())
			give_up(slot, "direct send");
}

/* One message, sent again with the same id when it was refused with EINTR: that may not double it. */
static void send_one(const struct slot *slot, int packets, char *text, size_t size)
{
	if (slot->way == WAY_DIRECT) {
		send_direct(slot, text, size);
	} else if (slot->way == WAY_PACKETS) {
		while (write(packets, text, size) != (ssize_t)size)
			if (!interrupted())
				give_up(slot, "write");
	} else {
		for (bool sent = false; !sent;) {
			int fd = open_file(slot, O_WRONLY);

			if (write(fd, text, size) != (ssize_t)size)
				give_up(slot, "write");
			sent = !close(fd);
			if (!sent && !interrupted())
				give_up(slot, "close");
		}
	}
}

/* A run of lines in one write(2), the rest in further ones. */
static void send_lines(const struct slot *slot, int fd, const char *text, size_t size,
		       const uint32_t *ids, const size_t *ends, size_t count)
{
	size_t done = 0, sent = 0;

	while (done < size) {
		ssize_t put = write(fd, text + done, size - done);

		if (put < 0 && errno == EAGAIN) {
			usleep(500);
			continue;
		}
		if (put < 0 && !interrupted())
			give_up(slot, "write");
		done += put > 0 ? (size_t)put : 0;
		for (; sent < count && ends[sent] <= done; sent++)
			fate[ids[sent]] = FATE_SENT;
	}
}

__attribute__((noreturn)) static void write_for_ever(const struct slot *slot)
{
	static char text[BATCH * (LARGEST + 200)];
	uint32_t writer = slot->life, sequence = 0, ids[BATCH];
	size_t ends[BATCH];
	int fd = -1;

	if (slot->way == WAY_PACKETS || slot->way == WAY_LINES)
		fd = open_file(slot, O_WRONLY | (slot->nonblock ? O_NONBLOCK : 0));
	for (;;) {
		size_t count = slot->way == WAY_LINES ? 1 + peer_random(&rng) % slot->request : 1,
		       size = 0;

		pause_a_little(shared->tempo == 2);
		for (size_t i = 0; i < count; i++) {
			ids[i] = atomic_fetch_add(&shared->next_id, 1);
			if (ids[i] >= IDS) /* enough for any test */
				for (;;)
					pause();
			size += compose(text + size, writer, ++sequence, ids[i]);
			if (slot->way == WAY_LINES || peer_random(&rng) % 4 == 0)
				text[size++] = '\n';
			ends[i] = size;
			fate[ids[i]] = FATE_ATTEMPTED;
		}
		if (slot->way == WAY_LINES) {
			send_lines(slot, fd, text, size, ids, ends, count);
		} else {
			send_one(slot, fd, text, size);
			fate[ids[0]] = FATE_SENT;
		}
	}
}

static ssize_t receive_direct(char *text, size_t room)
{
	/* System V writes the type first: it stays in the shared buffer, before the text. */
	return posix ? mq_receive(mqd, text, room, NULL)
		     : msgrcv(msqid, text, room - sizeof(long), 0, 0);
}

__attribute__((noreturn)) static void read_for_ever(const struct slot *slot)
{
	uint32_t *last = calloc(WRITERS, sizeof(*last));
	size_t skip = slot->way == WAY_DIRECT && !posix ? sizeof(long) : 0;
	int fd = slot->way == WAY_DIRECT ? -1 : open_file(slot, O_RDONLY);
	size_t filled = 0, start = 0;
	char *buffer = slot->buffer;

	if (!last)
		give_up(slot, "calloc");
	for (;;) {
		ssize_t got;

		if (!filled)
			pause_a_little(shared->tempo == 1);
		if (slot->way == WAY_DIRECT)
			got = receive_direct(buffer, slot->request);
		else
			got = read(fd, buffer + filled, slot->request);
		if (got < 0) {
			if (!interrupted())
				give_up(slot, "receive");
			continue;
		}
		if (got == 0 && slot->way != WAY_MSG)
			give_up(slot, "read gave an end of file");
		filled += (size_t)got;
		/* Note whole messages; what is incomplete stays until the rest is read. */
		if (slot->way == WAY_LINES) {
			char *newline;

			while ((newline = memchr(buffer + start, '\n', filled - start))) {
				size_t length = (size_t)(newline - buffer) + 1 - start;

				note(slot->name, slot->life, buffer + start, length, last, false);
				start += length;
			}
			if (start < filled)
				continue;
		} else if (slot->way == WAY_MSG && got) {
			continue; /* up to the end of file */
		} else {
			note(slot->name, slot->life, buffer + skip, filled, last, false);
		}
		memset(buffer, 0, filled + skip);
		start = filled = 0;
	}
}

static void start(struct slot *slot)
{
	static uint32_t lives;
	const struct sigaction action = { .sa_handler = on_signal };

	slot->life = ++lives;
	if (slot->life >= WRITERS)
		peer_die("too many incarnations");
	if (slot->does == READS)
		memset(slot->buffer, 0, BUFFER);
	fflush(stdout);
	slot->pid = fork();
	if (slot->pid < 0)
		peer_die("fork");
	if (slot->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL); /* without SA_RESTART */
	rng ^= (uint64_t)slot->life * 0x9e3779b97f4a7c15u;
	rng = rng ? rng : 1;
	if (slot->does == WRITES)
		write_for_ever(slot);
	read_for_ever(slot);
}

/* What a killed reader was given but had not noted lies in its buffer. */
static void salvage(struct slot *slot)
{
	size_t skip = slot->way == WAY_DIRECT && !posix ? sizeof(long) : 0;
	const char *text = slot->buffer + skip, *end = slot->buffer + BUFFER;

	while (text < end && *text) {
		size_t rest = strnlen(text, (size_t)(end - text));
		const char *newline = memchr(text, '\n', rest);
		size_t length = newline ? (size_t)(newline - text) + 1 : rest;

		note(slot->name, slot->life, text, length, NULL, true);
		text += length;
	}
}

static void kill_slot(struct slot *slot)
{
	double limit = peer_now() + 5 * peer_slow();
	int status;

	kill(slot->pid, SIGKILL);
	while (waitpid(slot->pid, &status, WNOHANG) == 0) {
		if (peer_now() > limit) {
			peer_fail("%s (pid %d) does not end by SIGKILL within 5 s", slot->name,
				  slot->pid);
			peer_result("conservation");
			_exit(1);
		}
		usleep(100);
	}
	if (WIFEXITED(status)) /* it printed why */
		peer_failures++;
	if (slot->does == READS)
		salvage(slot);
}

static void make_queue(const char *mount)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	key_t key = 0x0c04;

	if (posix) {
		mq_unlink(mq_name);
		mqd = mq_open(mq_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
		peer_path(queue_dir, "%s/posix/mq/%s", mount, mq_name + 1);
	} else {
		msqid = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
		peer_path(queue_dir, "%s/sysv/msg/0x%08x", mount, (unsigned)key);
	}
	if (posix ? mqd < 0 : msqid < 0)
		peer_die("making a queue");
}

/* Receive what is left, until nothing came for a while (given back messages may come late). */
static unsigned drain(void)
{
	static char text[64 * 1024];
	struct timespec past = { 0, 0 };
	unsigned count = 0;

	for (int quiet = 0; quiet < 10; quiet++) {
		for (;;) {
			ssize_t got = posix ? mq_timedreceive(mqd, text, sizeof(text), NULL, &past)
					    : msgrcv(msqid, text, sizeof(text) - sizeof(long), 0,
						     IPC_NOWAIT);

			if (got < 0)
				break;
			note("drain", UINT32_MAX, text + (posix ? 0 : sizeof(long)), (size_t)got,
			     NULL, false);
			count++;
			quiet = 0;
		}
		peer_sleep_ms(30);
	}
	return count;
}

static void account(void)
{
	unsigned ids = shared->next_id < IDS ? shared->next_id : IDS, received = 0, lost = 0,
		 open_end = 0;
	unsigned left = drain();
	char path[PEER_PATH], status[4096];
	long long returned;

	for (unsigned id = 0; id < ids; id++) {
		received += taken[id] != 0;
		lost += fate[id] == FATE_SENT && !taken[id];
		open_end += fate[id] == FATE_ATTEMPTED && !taken[id];
	}
	if (peer_read_file(peer_path(path, "%s/status", queue_dir), status, sizeof(status)) < 0)
		peer_fail("%s can't be read", path);
	returned = peer_number(status, "returned", -1);
	printf("%u messages, %u received (%u at the end), %u lost, %u not sent by killed writers, "
	       "%u doubled, %u cut, %u out of order, %lld returned, %u times EINTR\n",
	       ids, received, left, lost, open_end, shared->doubled, shared->cut, shared->disorder,
	       returned, shared->eintr);
	CHECK(lost == 0, "%u messages are lost", lost);
	CHECK(!shared->doubled && !shared->cut && !shared->unknown,
	      "messages doubled, cut or made up");
	CHECK(!shared->errors, "%u calls failed", shared->errors);
	CHECK(returned >= 0, "status has no `returned`");
	CHECK(shared->disorder <= (returned < 0 ? 0 : returned),
	      "%u messages out of order, but only %lld returned", shared->disorder, returned);
	CHECK(peer_number(status, "messages", -1) == 0, "status still counts messages:\n%s",
	      status);
}

int main(int argc, char **argv)
{
	unsigned kills = 0, signals = 0;
	double end;

	if (argc < 4) {
		fprintf(stderr, "usage: %s MOUNT SECONDS posix|sysv [SEED]\n", argv[0]);
		return 2;
	}
	posix = !strcmp(argv[3], "posix");
	rng = peer_seed(argc > 4 ? argv[4] : NULL);
	ledger_open();
	make_queue(argv[1]);
	for (size_t i = 0; i < SLOTS; i++) {
		slots[i].buffer = share(BUFFER);
		start(&slots[i]);
	}
	end = peer_now() + strtod(argv[2], NULL);
	while (peer_now() < end && !peer_failures && !shared->errors) {
		struct slot *slot = &slots[peer_random(&rng) % SLOTS];

		shared->tempo = (unsigned)(peer_now() * 4) % 3;
		usleep(peer_random(&rng) % 8000);
		if (peer_random(&rng) % 3 == 0) {
			signals += !kill(slot->pid, SIGUSR1);
			continue;
		}
		kill_slot(slot);
		start(slot);
		kills++;
	}
	for (size_t i = 0; i < SLOTS; i++)
		kill_slot(&slots[i]);
	printf("%u processes killed, %u signals sent\n", kills, signals);
	account();
	if (posix)
		mq_unlink(mq_name);
	else
		msgctl(msqid, IPC_RMID, NULL);
	return peer_result("conservation");
}
