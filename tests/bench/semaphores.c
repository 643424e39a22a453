/* SPDX-License-Identifier: MIT */
/*
 * Uses semaphores again and again.
 *
 *	semaphores writes COUNT FILE FILE	an empty line to each by turns, as to wait and post
 *	semaphores opens COUNT DIRECTORY NAME	opens for writing and closes, as with hold
 *	semaphores sets COUNT			makes so many System V sets, by direct calls
 *
 * Prints the microseconds of one of each.
 */
#include <sys/sem.h>

#include "../tools/peer.h"

static int open_to_write(int directory, const char *name)
{
	int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		peer_die("open %s", name);
	return fd;
}

static void writes(unsigned long count, const char *first, const char *second)
{
	int fds[2] = { open_to_write(AT_FDCWD, first), open_to_write(AT_FDCWD, second) };

	for (unsigned long i = 0; i < count; i++)
		for (int j = 0; j < 2; j++)
			if (write(fds[j], "\n", 1) != 1)
				peer_die("write");
}

static void opens(unsigned long count, const char *directory, const char *name)
{
	int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		peer_die("open %s", directory);
	for (unsigned long i = 0; i < count; i++)
		if (close(open_to_write(dir, name)))
			peer_die("close");
}

static void sets(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		if (semget((key_t)(0x20000000 + i), 1, IPC_CREAT | 0600) < 0)
			peer_die("set %lu", i);
}

int main(int argc, char **argv)
{
	unsigned long count = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
	double began = peer_now();

	if (count && argc == 3 && !strcmp(argv[1], "sets")) {
		sets(count);
		return 0;
	}
	if (!count || argc != 5) {
		fprintf(stderr, "usage: %s writes|opens COUNT A B, or sets COUNT\n", argv[0]);
		return 2;
	}
	if (!strcmp(argv[1], "writes"))
		writes(count, argv[3], argv[4]);
	else
		opens(count, argv[3], argv[4]);
	printf("%.3f\n", (peer_now() - began) * 1e6 / (double)count);
	return 0;
}
