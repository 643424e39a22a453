/* SPDX-License-Identifier: MIT */
/*
 * Makes System V queues by direct calls until there are COUNT.
 *
 *	queues COUNT
 *
 * Their keys begin at 0x20000000.
 */
#include <sys/ipc.h>
#include <sys/msg.h>

#include "../tools/peer.h"

int main(int argc, char **argv)
{
	unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	if (!count) {
		fprintf(stderr, "usage: %s COUNT\n", argv[0]);
		return 2;
	}
	for (unsigned long i = 0; i < count; i++)
		if (msgget((key_t)(0x20000000 + i), IPC_CREAT | 0600) < 0)
			peer_die("queue %lu", i);
	return 0;
}
