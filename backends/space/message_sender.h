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

/* The start of the process: its copy of what the daemon has. */
struct ipcfs_message_sender {
	uint32_t number;		 /* it sends the messages of this number */
	int socket;			 /* its end */
	int file;			 /* see message_store.h */
	const struct ipcfs_space *space; /* whose IPC namespace it acts in; NULL: home */
	bool elsewhere;	      /* the namespace is not the one that the daemon was started in */
	bool awaits;	      /* it sends nothing if the daemon ends before the order to begin */
	int (*confine)(void); /* limits its system calls; NULL: nothing does */
};

#define IPCFS_MESSAGE_SENDER_FIRST 2 /* the process's lowest number of a queue's descriptor */

/* An order to the process. */
struct ipcfs_message_sender_order {
	enum {
		IPCFS_MESSAGE_SENDER_KEEP,  /* to keep what comes with it open as `descriptor` */
		IPCFS_MESSAGE_SENDER_CLOSE, /* to close the descriptors from this one to `last` */
		IPCFS_MESSAGE_SENDER_BEGIN, /* from now on the messages are the process's to send */
	} what;
	int descriptor, last;
};

/*
 * Is the process, from its fork to its end. Sends a byte when it is ready. Makes system calls and
 * allocates, but takes no lock of the daemon's.
 */
_Noreturn void ipcfs_message_sender_run(const struct ipcfs_message_sender *sender);

#endif
