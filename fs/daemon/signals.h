/* SPDX-License-Identifier: MIT */
/* The signals of the session: session.h says what each one does. */
#ifndef IPCFS_SIGNALS_H
#define IPCFS_SIGNALS_H

#include <signal.h>

/*
 * Sets signal masks and handlers. Call before there are threads. *taken: the signals that end
 * the session, SIGHUP and SIGCHLD; *before: the old mask.
 */
void ipcfs_signals_block(sigset_t *taken, sigset_t *before);

/* Returns a pending signal of a signalfd(2) that does not wait. 0: there is none. */
int ipcfs_signals_take(int signals);

#endif
