/* SPDX-License-Identifier: MIT */
/*
 * Measures how fast a file is read, written and mapped, compared with another.
 *
 *	segments read|write|map DIRECT THROUGH BLOCK
 *
 * Both files are 64 MiB of memory. They take turns, so that other work of the machine affects both.
 * Prints the medians of both in MiB/s, and of the second's share of the first. DIRECT may be
 * `sysv:ID`: that segment, attached, is copied from and to, as with map.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#define SIZE ((size_t)64 << 20)
#define TURNS 41

struct side {
	int fd;	   /* or */
	char *map; /* what is copied from and to */
	double rates[TURNS];
};

static char *block;
static size_t block_size;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void open_side(struct side *side, const char *name, bool map)
{
	side->fd = -1;
	if (!strncmp(name, "sysv:", 5)) {
		side->map = shmat(atoi(name + 5), NULL, 0);
		if (side->map == (void *)-1)
			die(name);
		return;
	}
	side->fd = open(name, O_RDWR | O_CLOEXEC);
	if (side->fd < 0)
		die(name);
	if (map) {
		side->map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, side->fd, 0);
		if (side->map == MAP_FAILED)
			die(name);
	}
}

static void reopen_reading(struct side *side, const char *name)
{
	if (side->map)
		return;
	close(side->fd);
	side->fd = open(name, O_RDONLY | O_CLOEXEC);
	if (side->fd < 0)
		die(name);
}

/* Returns the MiB/s of one pass over all of it. */
static double pass(struct side *side, bool write)
{
	double start = now();

	for (size_t at = 0; at < SIZE; at += block_size) {
		ssize_t done = (ssize_t)block_size;

		if (side->map && write)
			memcpy(side->map + at, block, block_size);
		else if (side->map)
			memcpy(block, side->map + at, block_size);
		else if (write)
			done = pwrite(side->fd, block, block_size, (off_t)at);
		else
			done = pread(side->fd, block, block_size, (off_t)at);
		if (done != (ssize_t)block_size)
			die("short");
	}
	return (double)(SIZE >> 20) / (now() - start);
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values)
{
	qsort(values, TURNS, sizeof(*values), by_value);
	return values[TURNS / 2];
}

int main(int argc, char **argv)
{
	struct side sides[2] = { { 0 } };
	double shares[TURNS];
	bool write, map;

	if (argc != 5) {
		fprintf(stderr, "usage: %s read|write|map DIRECT THROUGH BLOCK\n", argv[0]);
		return 2;
	}
	write = !strcmp(argv[1], "write");
	map = !strcmp(argv[1], "map");
	block_size = strtoul(argv[4], NULL, 10);
	block = aligned_alloc(4096, (block_size + 4095) & ~(size_t)4095);
	if (!block)
		die("aligned_alloc");
	memset(block, 1, block_size);
	for (int i = 0; i < 2; i++) {
		open_side(&sides[i], argv[2 + i], map);
		pass(&sides[i], true); /* now all of it is in memory */
		if (!write && !map)
			reopen_reading(&sides[i], argv[2 + i]);
	}
	for (int turn = 0; turn < TURNS; turn++)
		for (int i = 0; i < 2; i++)
			sides[i].rates[turn] = pass(&sides[i], map ? turn % 2 : write);
	for (int turn = 0; turn < TURNS; turn++)
		shares[turn] = sides[1].rates[turn] / sides[0].rates[turn];
	printf("%.0f %.0f %.3f\n", median(sides[0].rates), median(sides[1].rates), median(shares));
	return 0;
}
