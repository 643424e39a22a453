/* SPDX-License-Identifier: MIT */
/*
 * Measures what a message of 64 bytes costs in `records` and in `packets`.
 *
 *	records ROUNDS DIRECTORY
 *
 * A round fills the queue of this directory with 1000 messages and empties it, through `packets`
 * with a call for each message, and through `records` with 64 KiB for each call. The queue must
 * take as many. Every message is checked. Prints the microseconds of a message written and read by
 * packets, the same by records, and by how much records is faster, written and read: medians over
 * the rounds.
 */
#include "../tools/peer.h"

enum { MESSAGES = 1000, SIZE = 64, HEADER = 8, RECORD = HEADER + SIZE, BUFFER = 64 * 1024 };
enum { ROUNDS = 1000 };

struct file {
	int in, out;
	double writes[ROUNDS], reads[ROUNDS]; /* us */
};

static char message[MESSAGES][RECORD]; /* as records: packets leaves the header out */

static void open_both(struct file *file, const char *directory, const char *name)
{
	char path[PEER_PATH];

	peer_path(path, "%s/%s", directory, name);
	file->in = open(path, O_RDONLY | O_CLOEXEC);
	file->out = open(path, O_WRONLY | O_CLOEXEC);
	if (file->in < 0 || file->out < 0)
		peer_die("%s", path);
}

static void compose(unsigned type)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		message[i][0] = SIZE;
		message[i][4] = (char)type;
		snprintf(message[i] + HEADER, SIZE, "%063u", i);
	}
}

static void check(const char *text, unsigned number)
{
	if (memcmp(text, message[number] + HEADER, SIZE)) {
		printf("message %u is %.63s\n", number, text);
		exit(1);
	}
}

static void write_packets(int fd)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (write(fd, message[i] + HEADER, SIZE) != SIZE)
			peer_die("writing packets");
}

static void read_packets(int fd)
{
	char text[SIZE];

	for (unsigned i = 0; i < MESSAGES; i++) {
		if (read(fd, text, SIZE) != SIZE)
			peer_die("reading packets");
		check(text, i);
	}
}

static void write_records(int fd)
{
	const char *bytes = message[0];

	for (size_t done = 0; done < sizeof(message);) {
		size_t size = sizeof(message) - done;
		ssize_t put = write(fd, bytes + done, size < BUFFER ? size : BUFFER);

		if (put <= 0)
			peer_die("writing records");
		done += (size_t)put;
	}
}

static void read_records(int fd)
{
	static char buffer[BUFFER];

	for (unsigned number = 0; number < MESSAGES;) {
		ssize_t got = read(fd, buffer, sizeof(buffer));

		if (got <= 0 || got % RECORD)
			peer_die("reading records");
		for (ssize_t at = 0; at < got; at += RECORD)
			check(buffer + at + HEADER, number++);
	}
}

/* Returns how long it takes for each message: us. */
static double timed(void (*pass)(int fd), int fd)
{
	double start = peer_now();

	pass(fd);
	return (peer_now() - start) / MESSAGES * 1e6;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const double *values, const double *divisors, size_t count)
{
	static double sorted[ROUNDS];

	for (size_t i = 0; i < count; i++)
		sorted[i] = values[i] / (divisors ? divisors[i] : 1);
	qsort(sorted, count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

int main(int argc, char **argv)
{
	static struct file packets, records;
	size_t rounds;

	if (argc != 3) {
		fprintf(stderr, "usage: %s ROUNDS DIRECTORY\n", argv[0]);
		return 2;
	}
	rounds = strtoul(argv[1], NULL, 10);
	rounds = rounds > ROUNDS ? ROUNDS : rounds;
	open_both(&packets, argv[2], "packets");
	open_both(&records, argv[2], "records");
	compose(1);
	for (size_t i = 0; i < rounds; i++) {
		packets.writes[i] = timed(write_packets, packets.out);
		packets.reads[i] = timed(read_packets, packets.in);
		records.writes[i] = timed(write_records, records.out);
		records.reads[i] = timed(read_records, records.in);
	}
	printf("%.3f %.3f %.3f %.3f %.2f %.2f\n", median(packets.writes, NULL, rounds),
	       median(packets.reads, NULL, rounds), median(records.writes, NULL, rounds),
	       median(records.reads, NULL, rounds), median(packets.writes, records.writes, rounds),
	       median(packets.reads, records.reads, rounds));
	return 0;
}
