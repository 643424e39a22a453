/* SPDX-License-Identifier: MIT */
/*
 * aio FILE COUNT: starts COUNT processes, each of which reads from the file by io_submit(2) with
 * O_DIRECT. They end with this process. Prints "read" for each that has read something.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "peer.h"

static void read_once(const char *path)
{
	static char bytes[8192] __attribute__((aligned(4096)));
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PREAD,
				.aio_buf = (uintptr_t)bytes,
				.aio_nbytes = sizeof(bytes) };
	struct iocb *requests[] = { &request };
	aio_context_t context = 0;
	struct io_event event;

	request.aio_fildes = (uint32_t)open(path, O_RDONLY | O_DIRECT);
	if ((int)request.aio_fildes < 0)
		peer_die("%s", path);
	if (syscall(SYS_io_setup, 1, &context) || syscall(SYS_io_submit, context, 1, requests) != 1)
		peer_die("io_submit");
	if (syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) == 1 && event.res > 0) {
		printf("read\n");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	for (int i = atoi(argv[2]); i; i--) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		read_once(argv[1]);
		return 0;
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
