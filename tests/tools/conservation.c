/* SPDX-License-Identifier: MIT */
/*
 * Checks that every message is accounted for exactly once.
 *
 *	conservation MOUNT SECONDS posix|sysv [SEED]
 *
 * Writers and readers, through the mount and directly, use one queue while they are killed at
 * random and replaced. Each message has an id. Two tables that all processes share tell for each id
 * what became of it: `fate` (attempted, sent) and `taken` (by which reader). A reader's buffer is
 * shared memory, too: a message that a killed reader got and had not noted is found there. So at
 * the end only messages that a killed writer had not finished sending may be missing.
 *
 * A reader of lease notes a message when it has written `done`. If it is killed while it does that,
 * nobody knows whether the message came back: it may be missing, or not.
 */
#include <mqueue.h>
#include <signal.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ledger.h"

enum way { WAY_MSG, WAY_LINES, WAY_PACKETS, WAY_RECORDS, WAY_LEASE, WAY_DIRECT };
enum { HEADER = 8 }; /* bytes before the text of a record */

struct slot {
	const char *name;
	enum { WRITES, READS } does;
	enum way way;
	size_t request; /* readers: bytes of one read; writers: lines or records of one write */
	bool nonblock;
	pid_t pid;
	uint32_t life;	      /* number of this process, over all slots */
	char *buffer;	      /* shared; readers */
	atomic_uint *judging; /* shared; lease: 1 plus the id of the message that is being done */
};

static struct slot slots[] = {
	{ .name = "msg writer", WRITES, WAY_MSG },
	{ .name = "lines writer", WRITES, WAY_LINES, BATCH },
	{ .name = "nonblocking lines writer", WRITES, WAY_LINES, BATCH, true },
	{ .name = "packets writer", WRITES, WAY_PACKETS },
	{ .name = "records writer", WRITES, WAY_RECORDS, BATCH },
	{ .name = "direct sender", WRITES, WAY_DIRECT },
	{ .name = "msg reader", READS, WAY_MSG, 64 * 1024 },
	{ .name = "msg reader, small buffer", READS, WAY_MSG, 64 },
	{ .name = "lines reader", READS, WAY_LINES, 8192 },
	{ .name = "lines reader, small buffer", READS, WAY_LINES, 64 },
	{ .name = "lines reader, large buffer", READS, WAY_LINES, 128 * 1024 },
	{ .name = "packets reader", READS, WAY_PACKETS, 64 * 1024 },
	{ .name = "records reader", READS, WAY_RECORDS, 64 * 1024 },
	{ .name = "records reader, small buffer", READS, WAY_RECORDS, 8200 },
	{ .name = "lease reader", READS, WAY_LEASE, 64 * 1024 },
	{ .name = "lease reader, small buffer", READS, WAY_LEASE, 64 },
	{ .name = "direct receiver", READS, WAY_DIRECT, 64 * 1024 },
};
enum { SLOTS = sizeof(slots) / sizeof(*slots) };

static bool posix;
static char queue_dir[PEER_PATH];
static const char mq_name[] = "/conservation";
static int msqid = -1;
static mqd_t mqd = (mqd_t)-1;

/* The processes. They end by SIGKILL only, or by an error, which is a failure of the test. */

static void on_signal(int signal)
{
	(void)signal;
}

__attribute__((noreturn)) static void give_up(const struct slot *slot, const char *call)
{
	int error = errno;

	/* The queue is removed only after all processes have ended, so no error is expected. */
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
	static const char *const names[] = { "msg", "lines", "packets", "records", "lease" };
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

/* Sends one message. After EINTR it is sent again with the same id, which must not double it. */
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

/* Sends several lines or records in one write(2), the rest in further ones. */
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

/* Puts the header of a record before a text of `size` bytes. */
static void put_header(char *header, size_t size)
{
	memset(header, 0, HEADER);
	header[0] = (char)(size & 0xff);
	header[1] = (char)(size >> 8);
	header[4] = posix ? 0 : 1;
}

/* Returns how long the text of the record at `header` is. */
static size_t text_size(const char *header)
{
	return (unsigned char)header[0] | (size_t)(unsigned char)header[1] << 8;
}

__attribute__((noreturn)) static void write_for_ever(const struct slot *slot)
{
	static char text[BATCH * (LARGEST + 200)];
	uint32_t writer = slot->life, sequence = 0, ids[BATCH];
	bool records = slot->way == WAY_RECORDS, several = records || slot->way == WAY_LINES;
	size_t ends[BATCH];
	int fd = -1;

	if (slot->way == WAY_PACKETS || several)
		fd = open_file(slot, O_WRONLY | (slot->nonblock ? O_NONBLOCK : 0));
	for (;;) {
		size_t count = several ? 1 + peer_random(&rng) % slot->request : 1, size = 0;

		pause_a_little(shared->tempo == 2);
		for (size_t i = 0; i < count; i++) {
			size_t start = size += records ? HEADER : 0;

			ids[i] = atomic_fetch_add(&shared->next_id, 1);
			if (ids[i] >= IDS) /* enough for any test */
				for (;;)
					pause();
			size += compose(text + size, writer, ++sequence, ids[i]);
			if (slot->way == WAY_LINES || peer_random(&rng) % 4 == 0)
				text[size++] = '\n';
			if (records)
				put_header(text + start - HEADER, size - start);
			ends[i] = size;
			fate[ids[i]] = FATE_ATTEMPTED;
		}
		if (several) {
			send_lines(slot, fd, text, size, ids, ends, count);
		} else {
			send_one(slot, fd, text, size);
			fate[ids[0]] = FATE_SENT;
		}
	}
}

static ssize_t receive_direct(char *text, size_t capacity)
{
	/* System V writes the type first: it stays in the shared buffer, before the text. */
	return posix ? mq_receive(mqd, text, capacity, NULL)
		     : msgrcv(msqid, text, capacity - sizeof(long), 0, 0);
}

/* Notes the records that a reader has got, up to the end of the buffer or the first empty one. */
static void note_records(const struct slot *slot, size_t size, uint32_t *last, bool salvaged)
{
	const char *at = slot->buffer, *end = at + size;

	while (end - at > HEADER && text_size(at)) {
		note(slot->name, slot->life, at + HEADER, text_size(at), last, salvaged);
		at += HEADER + text_size(at);
	}
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
		/* Note whole messages. An incomplete one stays until its rest is read. */
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
			continue; /* read on, up to the end of file */
		} else if (slot->way == WAY_RECORDS) {
			note_records(slot, filled, last, false);
		} else {
			note(slot->name, slot->life, buffer + skip, filled, last, false);
		}
		if (slot->way == WAY_MSG) { /* one message for each open */
			close(fd);
			fd = open_file(slot, O_RDONLY);
		}
		memset(buffer, 0, filled + skip);
		start = filled = 0;
	}
}

/* Returns the id of a message, as note finds it. */
static uint32_t id_of(const char *text)
{
	uint32_t id = 0;

	(void)sscanf(text, "%*u:%*u:%u:", &id);
	return id;
}

/*
 * Reads one message to its end, and writes a verdict, or closes without one. Returns when the file
 * has been closed.
 */
static void lease_one(const struct slot *slot, uint32_t *last)
{
	int fd = open_file(slot, O_RDWR);
	char *buffer = slot->buffer;
	unsigned choice = peer_random(&rng) % 8;
	size_t filled = 0;
	ssize_t got;

	while ((got = read(fd, buffer + filled, slot->request)) != 0) {
		if (got < 0 && !interrupted())
			give_up(slot, "read");
		filled += got > 0 ? (size_t)got : 0;
	}
	if (choice == 0) {
		if (write(fd, "again\n", 6) != 6)
			give_up(slot, "again");
	} else if (choice > 1) {
		buffer[filled] = '\0';
		*slot->judging = id_of(buffer) + 1;
		if (write(fd, "done\n", 5) != 5)
			give_up(slot, "done");
		note(slot->name, slot->life, buffer, filled, last, false);
		*slot->judging = 0;
	}
	close(fd);
}

__attribute__((noreturn)) static void lease_for_ever(const struct slot *slot)
{
	for (;;) {
		pause_a_little(shared->tempo == 1);
		lease_one(slot, NULL); /* messages that come back change the order */
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
	if (slot->way == WAY_LEASE)
		lease_for_ever(slot);
	read_for_ever(slot);
}

/* Ids of messages whose reader was killed while it wrote `done`. */
enum { DOUBTS = 1 << 16 };
static uint32_t doubtful[DOUBTS];
static unsigned doubts;

/* Notes what a killed reader got and had not noted: it is in the reader's buffer. */
static void salvage(struct slot *slot)
{
	size_t skip = slot->way == WAY_DIRECT && !posix ? sizeof(long) : 0;
	const char *text = slot->buffer + skip, *end = slot->buffer + BUFFER;

	if (slot->way == WAY_LEASE) {
		if (*slot->judging && doubts < DOUBTS)
			doubtful[doubts++] = *slot->judging - 1;
		*slot->judging = 0;
		return;
	}
	if (slot->way == WAY_RECORDS) {
		note_records(slot, BUFFER, NULL, true);
		return;
	}
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
	if (WIFEXITED(status)) /* the process printed why */
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

/*
 * Receives what is left until nothing came for a while: messages that were put back may come late.
 */
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
	long long returned, leases;

	for (unsigned i = 0; i < doubts; i++)
		if (!taken[doubtful[i]])
			taken[doubtful[i]] = UINT32_MAX;
	for (unsigned id = 0; id < ids; id++) {
		received += taken[id] != 0;
		lost += fate[id] == FATE_SENT && !taken[id];
		open_end += fate[id] == FATE_ATTEMPTED && !taken[id];
	}
	if (peer_read_file(peer_path(path, "%s/status", queue_dir), status, sizeof(status)) < 0)
		peer_fail("%s can't be read", path);
	returned = peer_number(status, "returned", -1);
	leases = peer_number(status, "leases_returned", -1);
	printf("%u messages, %u received (%u at the end), %u lost, %u not sent by killed writers, "
	       "%u doubled, %u cut, %u out of order, %lld returned, %lld by leases, %u in doubt, %u times EINTR\n",
	       ids, received, left, lost, open_end, shared->doubled, shared->cut, shared->disorder,
	       returned, leases, doubts, shared->eintr);
	CHECK(lost == 0, "%u messages are lost", lost);
	CHECK(!shared->doubled && !shared->cut && !shared->unknown,
	      "messages doubled, cut or made up");
	CHECK(!shared->errors, "%u calls failed", shared->errors);
	CHECK(returned >= 0, "status has no `returned`");
	CHECK(leases > 0, "no lease was returned");
	CHECK(peer_number(status, "leased", -1) == 0, "status still counts leases:\n%s", status);
	CHECK(shared->disorder <= (returned < 0 ? 0 : returned) + leases,
	      "%u messages out of order, but only %lld and %lld returned", shared->disorder,
	      returned, leases);
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
		slots[i].judging = share(sizeof(*slots[i].judging));
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
