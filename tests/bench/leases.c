/* SPDX-License-Identifier: MIT */
/*
 * Measures what a worker's message of 64 bytes costs in `msg` and in `lease`.
 *
 *	leases ROUNDS DIRECTORY
 *
 * A round fills the queue of this directory with 100 messages for each way to take them, and takes
 * them one by one: open msg, read to the end, close; the same of lease, with a verdict before the
 * close; the same of within/5/lease; and by lease without opening it anew. Prints the microseconds
 * of a message in each way, lease as a multiple of msg, and within/5/lease of lease: medians over
 * the rounds.
 */
#include "../tools/peer.h"

enum { MESSAGES = 100, SIZE = 64, ROUNDS = 1000, WAYS = 4 };

static const char *directory;
static double times[WAYS][ROUNDS]; /* us */

static int open_file(const char *name, int flags)
{
	char path[PEER_PATH];
	int fd = open(peer_path(path, "%s/%s", directory, name), flags | O_CLOEXEC);

	if (fd < 0)
		peer_die("%s", path);
	return fd;
}

static void fill(void)
{
	char text[SIZE] = "job";
	int fd = open_file("packets", O_WRONLY);

	for (unsigned i = 0; i < MESSAGES; i++)
		if (write(fd, text, SIZE) != SIZE)
			peer_die("writing packets");
	close(fd);
}

/* Reads one message, and with `to_end` its end of file. */
static void take(int fd, bool to_end)
{
	char text[2 * SIZE];

	if (read(fd, text, sizeof(text)) != SIZE || (to_end && read(fd, text, sizeof(text))))
		peer_die("reading");
}

static void finish(int fd)
{
	if (write(fd, "done\n", 5) != 5)
		peer_die("done");
}

static void by_open(const char *name, bool leases)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		int fd = open_file(name, leases ? O_RDWR : O_RDONLY);

		take(fd, true);
		if (leases)
			finish(fd);
		close(fd);
	}
}

static void by_one_file(void)
{
	int fd = open_file("lease", O_RDWR);

	for (unsigned i = 0; i < MESSAGES; i++) {
		take(fd, false);
		finish(fd);
	}
	close(fd);
}

/* Returns how long a message takes: us. */
static double timed(unsigned way)
{
	double start;

	fill();
	start = peer_now();
	if (way == 3)
		by_one_file();
	else
		by_open(way == 0 ? "msg" : way == 1 ? "lease" : "within/5/lease", way > 0);
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
	size_t rounds;

	if (argc != 3) {
		fprintf(stderr, "usage: %s ROUNDS DIRECTORY\n", argv[0]);
		return 2;
	}
	directory = argv[2];
	rounds = strtoul(argv[1], NULL, 10);
	rounds = rounds > ROUNDS ? ROUNDS : rounds;
	for (size_t i = 0; i < rounds; i++)
		for (unsigned way = 0; way < WAYS; way++)
			times[way][i] = timed(way);
	for (unsigned way = 0; way < WAYS; way++)
		printf("%.3f ", median(times[way], NULL, rounds));
	printf("%.2f %.2f\n", median(times[1], times[0], rounds),
	       median(times[2], times[1], rounds));
	return 0;
}
