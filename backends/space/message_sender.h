/* SPDX-License-Identifier: MIT */
/*
 * The process `ipcfs-leases`: it sends kept messages when the daemon has ended, in whatever way.
 * Until then it waits, with one end of a socket, the file of the kept messages, and the descriptors
 * of the POSIX queues to which they go. It has no capability but CAP_IPC_OWNER, which msgsnd(2)
 * needs, and few system calls.
 */
#ifndef IPCFS_MESSAGE_SENDER_H
#define IPCFS_MESSAGE_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipcfs_space;

/* A descriptor of the daemon. */
struct ipcfs_message_descriptor {
	bool sent;	/* the process has it */
	bool left;	/* its owner has left it to the keeper, which closes it after its users */
	unsigned users; /* messages that go to it */
};

/* The start of the process: its copy of what the daemon has. */
struct ipcfs_message_sender {
	uint32_t number;		 /* it sends the messages of this number */
	int socket;			 /* its end */
	int file;			 /* see message_store.h */
	const struct ipcfs_space *space; /* whose IPC namespace it acts in; NULL: home */
	bool elsewhere; /* the namespace is not the one that the daemon was started in */
	/* by number: those that the process keeps open, where they are `sent` */
	const struct ipcfs_message_descriptor *descriptors;
	size_t count;	      /* of `descriptors` */
	int (*confine)(void); /* limits its system calls; NULL: nothing does */
};

/*
 * An order to the process: to keep a descriptor that comes with it open, under the number that it
 * has in the daemon, or to close it.
 */
struct ipcfs_message_sender_order {
	int descriptor;
	bool keep;
};

/*
 * Is the process, from its fork to its end. Sends a byte when it is ready. Makes system calls and
 * allocates, but takes no lock of the daemon's.
 */
_Noreturn void ipcfs_message_sender_run(const struct ipcfs_message_sender *sender);

#endif
