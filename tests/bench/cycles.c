/* SPDX-License-Identifier: MIT */
/*
 * Makes, uses and removes a queue through the mount, again and again.
 *
 *	cycles DIRECTORY COUNT
 *
 * DIRECTORY is a class, such as MOUNT/sysv/msg. Each cycle makes a queue, writes a message to its
 * `msg`, reads it, and removes the queue. Prints cycles per second.
 */
#include <sys/stat.h>

#include "../tools/peer.h"

static void cycle(const char *class, unsigned long number)
{
	char dir[PEER_PATH], file[PEER_PATH], text[64];
	int fd;

	/* Some names are used again, others are not. */
	if (strstr(class, "sysv"))
		peer_path(dir, "%s/0x%08lx", class, 0x10000000 + number % 100000);
	else
		peer_path(dir, "%s/cycle-%lu", class, number % 100000);
	peer_path(file, "%.480s/msg", dir);
	if (mkdir(dir, 0700))
		peer_die("mkdir %s", dir);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "a message", 9) != 9 || close(fd))
		peer_die("sending to %s", file);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) != 9 || close(fd))
		peer_die("receiving from %s", file);
	if (rmdir(dir))
		peer_die("rmdir %s", dir);
}

int main(int argc, char **argv)
{
	unsigned long count;
	double began = peer_now();

	if (argc != 3) {
		fprintf(stderr, "usage: %s DIRECTORY COUNT\n", argv[0]);
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	for (unsigned long i = 0; i < count; i++)
		cycle(argv[1], i);
	printf("%.0f\n", (double)count / (peer_now() - began));
	return 0;
}
