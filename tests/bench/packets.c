/* SPDX-License-Identifier: MIT */
/*
 * The time of one message of 64 bytes, written and read.
 *
 *	packets BATCHES PAIRS SUBJECT...
 *
 * A subject is a file (opened twice, for writing and for reading), or `direct-posix` or
 * `direct-sysv`. Batches of PAIRS writes, each followed by a read, go round the subjects, so that
 * what else the machine does meets them all. Prints for each: subject, microseconds of a write and
 * of a read, and how many times the first subject's each is; all are medians over the batches, the
 * latter of the ratios of neighbouring batches.
 */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "../peers/peer.h"

enum { SUBJECTS = 8, BATCHES = 1000, SIZE = 64 };
enum way { WAY_FILE, WAY_POSIX, WAY_SYSV };

struct subject {
	const char *name;
	enum way way;
	int in, out;
	double writes[BATCHES], reads[BATCHES];
};

static struct subject subjects[SUBJECTS];

static void open_subject(struct subject *subject, const char *name)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = SIZE };

	subject->name = name;
	if (!strcmp(name, "direct-posix")) {
		subject->way = WAY_POSIX;
		subject->in = subject->out = mq_open("/bench-direct", O_RDWR | O_CREAT, 0600,
						     &attr);
		mq_unlink("/bench-direct");
	} else if (!strcmp(name, "direct-sysv")) {
		subject->way = WAY_SYSV;
		subject->in = subject->out = msgget(IPC_PRIVATE, 0600);
	} else {
		subject->out = open(name, O_WRONLY | O_CLOEXEC);
		subject->in = open(name, O_RDONLY | O_CLOEXEC);
	}
	if (subject->in < 0 || subject->out < 0)
		peer_die("%s", name);
}

static ssize_t put(const struct subject *subject)
{
	static struct {
		long type;
		char text[SIZE];
	} message = { 1, "" };

	switch (subject->way) {
	case WAY_POSIX:
		return mq_send(subject->out, message.text, SIZE, 0);
	case WAY_SYSV:
		return msgsnd(subject->out, &message, SIZE, 0);
	default:
		return write(subject->out, message.text, SIZE);
	}
}

static ssize_t get(const struct subject *subject)
{
	static struct {
		long type;
		char text[SIZE];
	} message;

	switch (subject->way) {
	case WAY_POSIX:
		return mq_receive(subject->in, message.text, SIZE, NULL);
	case WAY_SYSV:
		return msgrcv(subject->in, &message, SIZE, 0, 0);
	default:
		return read(subject->in, message.text, SIZE);
	}
}

static void run_batch(struct subject *subject, unsigned batch, unsigned pairs)
{
	double writes = 0, reads = 0;

	for (unsigned i = 0; i < pairs; i++) {
		double start = peer_now(), half;

		if (put(subject) < 0)
			peer_die("writing %s", subject->name);
		half = peer_now();
		if (get(subject) < 0)
			peer_die("reading %s", subject->name);
		writes += half - start;
		reads += peer_now() - half;
	}
	subject->writes[batch] = writes / pairs * 1e6;
	subject->reads[batch] = reads / pairs * 1e6;
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
			msgctl(subjects[i].in, IPC_RMID, NULL);
		printf("%s %.3f %.3f %.3f %.3f\n", subjects[i].name,
		       median(subjects[i].writes, NULL, batches),
		       median(subjects[i].reads, NULL, batches),
		       median(subjects[i].writes, subjects[0].writes, batches),
		       median(subjects[i].reads, subjects[0].reads, batches));
	}
	return 0;
}
