/* SPDX-License-Identifier: MIT */
/*
 * many THREADS MILLISECONDS read|write FILE
 *
 * Opens and closes one file in many threads at once. Prints how many opens there were a second.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "../tools/peer.h"

#define THREADS_MAX 1024

struct opener {
	pthread_t thread;
	const char *path;
	int flags;
	unsigned long opens;
};

static atomic_bool ended;

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;

	while (!ended) {
		int fd = open(opener->path, opener->flags | O_CLOEXEC);

		if (fd < 0 || close(fd))
			peer_die("open %s", opener->path);
		opener->opens++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct opener openers[THREADS_MAX];
	unsigned long threads = argc == 5 ? strtoul(argv[1], NULL, 10) : 0, opens = 0;
	double began = peer_now();

	if (!threads || threads > THREADS_MAX) {
		fprintf(stderr, "usage: %s THREADS MILLISECONDS read|write FILE\n", argv[0]);
		return 2;
	}
	for (unsigned long i = 0; i < threads; i++) {
		openers[i].path = argv[4];
		openers[i].flags = strcmp(argv[3], "write") ? O_RDONLY : O_WRONLY;
		if (pthread_create(&openers[i].thread, NULL, open_and_close, &openers[i]))
			peer_die("thread %lu", i);
	}
	usleep((useconds_t)(strtoul(argv[2], NULL, 10) * 1000));
	ended = true;
	for (unsigned long i = 0; i < threads; i++) {
		(void)pthread_join(openers[i].thread, NULL);
		opens += openers[i].opens;
	}
	printf("%.0f\n", (double)opens / (peer_now() - began));
	return 0;
}
