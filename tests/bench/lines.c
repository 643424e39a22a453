/* SPDX-License-Identifier: MIT */
/*
 * Measures how many messages a second pass from one process to another.
 *
 *	lines COUNT direct-posix|direct-sysv|DIRECTORY
 *
 * Messages of 31 bytes, lines of 32. Through a queue's directory: one process writes blocks of 64
 * KiB to `lines`, another reads with cat's 128 KiB. Directly: one call a message, on a queue with
 * the same limits (which the caller sets as the namespace's defaults). Every message must arrive,
 * in order. Prints messages per second.
 */
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>

#include "../tools/peer.h"

enum { SIZE = 32, BLOCK = 64 * 1024, BUFFER = 128 * 1024 };

static bool posix, sysv;
static int queue;
static char path[PEER_PATH];

static void compose(char *line, unsigned long number)
{
	snprintf(line, SIZE, "%031lu", number);
	line[SIZE - 1] = '\n';
}

static void check(const char *line, unsigned long number)
{
	char wanted[SIZE];

	compose(wanted, number);
	if (memcmp(line, wanted, SIZE - 1)) {
		printf("message %lu is %.31s\n", number, line);
		_exit(1);
	}
}

static void send_direct(unsigned long count)
{
	struct {
		long type;
		char text[SIZE];
	} message = { 1, "" };

	for (unsigned long i = 0; i < count; i++) {
		compose(message.text, i);
		if (posix ? mq_send(queue, message.text, SIZE - 1, 0)
			  : msgsnd(queue, &message, SIZE - 1, 0))
			peer_die("sending");
	}
}

static void receive_direct(unsigned long count)
{
	struct {
		long type;
		char text[8192];
	} message;

	for (unsigned long i = 0; i < count; i++) {
		ssize_t got = posix ? mq_receive(queue, message.text, sizeof(message.text), NULL)
				    : msgrcv(queue, &message, sizeof(message.text), 0, 0);

		if (got != SIZE - 1)
			peer_die("receiving");
		check(message.text, i);
	}
}

static void write_lines(unsigned long count)
{
	static char block[BLOCK];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		peer_die("%s", path);
	for (unsigned long i = 0; i < count;) {
		size_t size = 0, done = 0;

		for (; size < BLOCK && i < count; size += SIZE)
			compose(block + size, i++);
		while (done < size) {
			ssize_t put = write(fd, block + done, size - done);

			if (put < 0)
				peer_die("writing");
			done += (size_t)put;
		}
	}
	if (close(fd))
		peer_die("closing");
}

static void read_lines(unsigned long count)
{
	static char buffer[BUFFER];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned long reads = 0;

	if (fd < 0)
		peer_die("%s", path);
	for (unsigned long i = 0; i < count; reads++) {
		ssize_t got = read(fd, buffer, BUFFER);

		if (got <= 0 || got % SIZE)
			peer_die("reading: %zd", got);
		for (ssize_t at = 0; at < got; at += SIZE)
			check(buffer + at, i++);
	}
	fprintf(stderr, "%.1f messages a read\n", (double)count / (double)reads);
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned long count;
	double began;
	pid_t child;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: %s COUNT direct-posix|direct-sysv|DIRECTORY\n", argv[0]);
		return 2;
	}
	count = strtoul(argv[1], NULL, 10);
	posix = !strcmp(argv[2], "direct-posix");
	sysv = !strcmp(argv[2], "direct-sysv");
	if (posix) {
		queue = mq_open("/bench-lines-direct", O_RDWR | O_CREAT, 0600, NULL);
		if (queue >= 0)
			mq_unlink("/bench-lines-direct");
	} else if (sysv) {
		queue = msgget(IPC_PRIVATE, 0600);
	} else {
		peer_path(path, "%s/lines", argv[2]);
	}
	if (queue < 0)
		peer_die("making a queue");
	began = peer_now();
	child = fork();
	if (child < 0)
		peer_die("fork");
	if (!child) {
		if (posix || sysv)
			send_direct(count);
		else
			write_lines(count);
		_exit(0);
	}
	if (posix || sysv)
		receive_direct(count);
	else
		read_lines(count);
	if (waitpid(child, &status, 0) < 0 || status)
		peer_die("the writer failed");
	printf("%.0f\n", (double)count / (peer_now() - began));
	if (sysv)
		msgctl(queue, IPC_RMID, NULL);
	return 0;
}
