/* SPDX-License-Identifier: MIT */
/*
 * Measures the time of one message of 64 bytes, written and read.
 *
 *	packets BATCHES PAIRS SUBJECT...
 *
 * A subject is a file (opened twice, for writing and for reading), or `direct-posix` or
 * `direct-sysv`. `tagged:FILE` writes and reads a line with a type. `msg:FILE` opens and closes the
 * file for each message. FILE,FILE are two files by turns, request by request.
 *
 * Batches of PAIRS writes, each followed by a read, go round the subjects, so that other work of
 * the machine affects all of them. Prints for each subject: its name, the microseconds of a write
 * and of a read, and both as multiples of the first subject's. The figures are medians over the
 * batches; the multiples are medians of the ratios of neighbouring batches.
 */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "../tools/peer.h"

enum { SUBJECTS = 8, BATCHES = 1000, SIZE = 64, TURNS = 2 };
enum way { WAY_FILE, WAY_TAGGED, WAY_MSG, WAY_POSIX, WAY_SYSV };

struct subject {
	const char *name;
	enum way way;
	unsigned turns;
	char path[TURNS][PEER_PATH];
	int in[TURNS], out[TURNS];
	double writes[BATCHES], reads[BATCHES];
};

static struct subject subjects[SUBJECTS];

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		peer_die("%s", path);
	return fd;
}

static void open_files(struct subject *subject, const char *names)
{
	for (const char *name = names; *name && subject->turns < TURNS; subject->turns++) {
		unsigned turn = subject->turns;
		int length = (int)strcspn(name, ",");

		peer_path(subject->path[turn], "%.*s", length, name);
		if (subject->way != WAY_MSG) {
			subject->out[turn] = open_file(subject->path[turn], O_WRONLY);
			subject->in[turn] = open_file(subject->path[turn], O_RDONLY);
		}
		name += length + (name[length] == ',');
	}
}

static void open_subject(struct subject *subject, const char *name)
{
	static const struct {
		const char *prefix;
		enum way way;
	} ways[] = { { "tagged:", WAY_TAGGED }, { "msg:", WAY_MSG }, { "", WAY_FILE } };
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = SIZE };
	size_t i = 0;

	subject->name = name;
	subject->turns = 1;
	if (!strcmp(name, "direct-posix")) {
		subject->way = WAY_POSIX;
		subject->in[0] = subject->out[0] = mq_open("/bench-direct", O_RDWR | O_CREAT, 0600,
							   &attr);
		mq_unlink("/bench-direct");
	} else if (!strcmp(name, "direct-sysv")) {
		subject->way = WAY_SYSV;
		subject->in[0] = subject->out[0] = msgget(IPC_PRIVATE, 0600);
	} else {
		while (strncmp(name, ways[i].prefix, strlen(ways[i].prefix)) != 0)
			i++;
		subject->way = ways[i].way;
		subject->turns = 0;
		open_files(subject, name + strlen(ways[i].prefix));
	}
	if (!subject->turns || subject->in[0] < 0 || subject->out[0] < 0)
		peer_die("%s", name);
}

/* The close sends what was written. */
static ssize_t close_file(int fd, ssize_t done)
{
	return close(fd) ? -1 : done;
}

static ssize_t put(const struct subject *subject, unsigned turn)
{
	static char line[2 + SIZE + 1] = "1\t";
	static struct {
		long type;
		char text[SIZE];
	} message = { 1, "" };
	int fd;

	switch (subject->way) {
	case WAY_POSIX:
		return mq_send(subject->out[turn], message.text, SIZE, 0);
	case WAY_SYSV:
		return msgsnd(subject->out[turn], &message, SIZE, 0);
	case WAY_TAGGED:
		memset(line + 2, 'x', SIZE);
		line[2 + SIZE] = '\n';
		return write(subject->out[turn], line, sizeof(line));
	case WAY_MSG:
		fd = open_file(subject->path[turn], O_WRONLY);
		return close_file(fd, write(fd, message.text, SIZE));
	default:
		return write(subject->out[turn], message.text, SIZE);
	}
}

static ssize_t get(const struct subject *subject, unsigned turn)
{
	static struct {
		long type;
		char text[SIZE];
	} message;
	static char line[2 * SIZE];
	int fd;

	switch (subject->way) {
	case WAY_POSIX:
		return mq_receive(subject->in[turn], message.text, SIZE, NULL);
	case WAY_SYSV:
		return msgrcv(subject->in[turn], &message, SIZE, 0, 0);
	case WAY_TAGGED:
		return read(subject->in[turn], line, sizeof(line));
	case WAY_MSG:
		fd = open_file(subject->path[turn], O_RDONLY);
		return close_file(fd, read(fd, message.text, SIZE));
	default:
		return read(subject->in[turn], message.text, SIZE);
	}
}

static void run_batch(struct subject *subject, unsigned batch, unsigned pairs)
{
	double writes = 0, reads = 0;
	unsigned turns = subject->turns;

	for (unsigned i = 0; i < pairs; i++) {
		double start = peer_now(), half;

		for (unsigned turn = 0; turn < turns; turn++)
			if (put(subject, turn) < 0)
				peer_die("writing %s", subject->name);
		half = peer_now();
		for (unsigned turn = 0; turn < turns; turn++)
			if (get(subject, turn) <= 0)
				peer_die("reading %s", subject->name);
		writes += half - start;
		reads += peer_now() - half;
	}
	subject->writes[batch] = writes / pairs / turns * 1e6;
	subject->reads[batch] = reads / pairs / turns * 1e6;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const double *values, const double *divisors, size_t count)
{
	static double sorted[BATCHES];

	for (size_t i = 0; i < count; i++)
		sorted[i] = values[i] / (divisors ? divisors[i] : 1);
	qsort(sorted, count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

int main(int argc, char **argv)
{
	unsigned batches, pairs, count = (unsigned)argc - 3;

	if (argc < 4 || count > SUBJECTS) {
		fprintf(stderr, "usage: %s BATCHES PAIRS SUBJECT...\n", argv[0]);
		return 2;
	}
	batches = (unsigned)strtoul(argv[1], NULL, 10);
	batches = batches > BATCHES ? BATCHES : batches;
	pairs = (unsigned)strtoul(argv[2], NULL, 10);
	for (unsigned i = 0; i < count; i++) {
		open_subject(&subjects[i], argv[3 + i]);
		run_batch(&subjects[i], 0, pairs);
	}
	for (unsigned batch = 0; batch < batches; batch++)
		for (unsigned i = 0; i < count; i++)
			run_batch(&subjects[i], batch, pairs);
	for (unsigned i = 0; i < count; i++) {
		if (subjects[i].way == WAY_SYSV)
			msgctl(subjects[i].in[0], IPC_RMID, NULL);
		printf("%s %.3f %.3f %.3f %.3f\n", subjects[i].name,
		       median(subjects[i].writes, NULL, batches),
		       median(subjects[i].reads, NULL, batches),
		       median(subjects[i].writes, subjects[0].writes, batches),
		       median(subjects[i].reads, subjects[0].reads, batches));
	}
	return 0;
}
