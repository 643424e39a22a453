/* SPDX-License-Identifier: MIT */
/*
 * Messages that are sent to their queue if the daemon ends before it forgets them. The daemon writes
 * them to a file in memory (message_store.c), which outlives it in a process that sends them
 * (message_sender.c). There is one such process for the POSIX queues and for the System V queues of
 * the daemon's namespace, and with `-o namespaces` one for each other namespace, as msgsnd(2) acts
 * in the namespace of its process. The first one is started before the first request, so that its
 * copy of the daemon's memory has no message, the others with their first message. A process that
 * was killed or takes no orders is replaced, and needs no messages anew.
 */
#ifndef IPCFS_MESSAGE_KEEPER_H
#define IPCFS_MESSAGE_KEEPER_H

#include "backends/contract/contract.h"

/* Where a message is sent to. */
struct ipcfs_message_target {
	int handle;
	bool descriptor; /* of a POSIX queue; else a System V id of this thread's namespace */
};

/* Implements `keep` of struct ipcfs_queue_ops. */
int ipcfs_message_keep(const struct ipcfs_message_target *target,
		       const struct ipcfs_message *message, size_t size, uint64_t owner,
		       uint64_t *number);

/* Implements `kept` of struct ipcfs_queue_ops. */
bool ipcfs_message_kept(const struct ipcfs_message_target *target, uint64_t number);

/* Implements `forget` of struct ipcfs_queue_ops. */
void ipcfs_message_forget(uint64_t number);

/*
 * Has the descriptor of a POSIX queue closed by the process, too. Call before the descriptor is
 * closed. Returns true if messages go to it: then the keeper closes it when they were forgotten,
 * and the caller must not.
 */
bool ipcfs_message_keeper_leave(int descriptor);

/*
 * Ends the process of a namespace that has ended, so that it does not keep the namespace alive.
 * Call after space->ended was set: none is started from then on.
 */
void ipcfs_message_keeper_end(const struct ipcfs_space *space);

/* Notes that the whole process has joined another namespace. Call while it has one thread. */
void ipcfs_message_keeper_joined(void);

/*
 * Lets go of the struct of a namespace. Its process ends now, or if there are kept messages when it
 * has sent them after the daemon's end.
 */
void ipcfs_message_keeper_release(const struct ipcfs_space *space);

/* Returns whether this is one of the processes, which count for no namespace. */
bool ipcfs_message_keeper_is(pid_t process);

#endif
