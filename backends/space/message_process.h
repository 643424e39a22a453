/* SPDX-License-Identifier: MIT */
/* A process that sends kept messages (message_sender.h), as the daemon knows it. */
#ifndef IPCFS_MESSAGE_PROCESS_H
#define IPCFS_MESSAGE_PROCESS_H

#include "backends/space/message_sender.h"

#include <sys/types.h>

struct ipcfs_message_process {
	int socket; /* to it; -1: there is none */
	int life;   /* a pidfd of it; -1: none is needed */
	pid_t pid;  /* of this process's child; 0: there is none, or a worker before has made it */
};

#define IPCFS_MESSAGE_PROCESS_NONE                                                                 \
	{                                                                                          \
		.socket = -1, .life = -1                                                           \
	}

/*
 * Starts a process, which is then ready, and has no descriptor of a queue yet. start->socket is not
 * used. `lasts`: it outlives this process, and process->life is opened.
 * -ENOLCK: it has ended at once, or is not ready in time.
 * Errors of fork(2), socketpair(2) and pidfd_open(2).
 */
int ipcfs_message_process_start(struct ipcfs_message_process *process,
				const struct ipcfs_message_sender *start, bool lasts);

/* Ends the process, if there is one. It sends nothing. */
void ipcfs_message_process_end(struct ipcfs_message_process *process);

/* Returns whether there was a process, and it has ended. */
bool ipcfs_message_process_has_ended(const struct ipcfs_message_process *process);

/*
 * Sends an order, with this descriptor if it is not -1, and waits for room.
 * -EAGAIN: the process takes none.
 * Errors of sendmsg(2).
 */
int ipcfs_message_process_order(const struct ipcfs_message_process *process,
				const struct ipcfs_message_sender_order *order, int fd);

#endif
