/* SPDX-License-Identifier: MIT */
/*
 * Stops a process as a debugger does.
 *
 *	tracer PID
 *
 * Attaches to the process, interrupts it, waits until it has stopped, and detaches. Exits 1 if the
 * process has not stopped after 5 seconds, times IPCFS_TEST_SLOW.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "peer.h"

int main(int argc, char **argv)
{
	double end = peer_now() + 5 * peer_slow();
	pid_t pid = argc == 2 ? atoi(argv[1]) : 0, got;
	int status;

	if (pid <= 0) {
		fprintf(stderr, "usage: %s PID\n", argv[0]);
		return 2;
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		peer_die("ptrace of %d", pid);
	while ((got = waitpid(pid, &status, __WALL | WNOHANG)) == 0 && peer_now() < end)
		peer_sleep_ms(1);
	if (got != pid || !WIFSTOPPED(status)) {
		fprintf(stderr, "%d does not stop\n", pid);
		return 1;
	}
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		peer_die("detaching");
	return 0;
}
