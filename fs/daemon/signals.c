/* SPDX-License-Identifier: MIT */
#include "fs/daemon/signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void wake_up(int signal)
{
	(void)signal;
}

void ipcfs_signals_block(sigset_t *taken, sigset_t *before)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, wake = { .sa_handler = wake_up };
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t kick;

	sigemptyset(taken);
	sigaddset(taken, SIGTERM);
	sigaddset(taken, SIGINT);
	/* Blocked, so signalfd(2) takes it although it is ignored, by nohup(1) too. */
	sigaddset(taken, SIGHUP);
	sigaddset(taken, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, taken, before);

	sigaction(SIGCHLD, &usual, NULL); /* ignored, it would not come */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL); /* beyond RLIMIT_FSIZE: an error instead */
	sigaction(SIGUSR1, &wake, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

int ipcfs_signals_take(int signals)
{
	struct signalfd_siginfo info;

	return read(signals, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}
