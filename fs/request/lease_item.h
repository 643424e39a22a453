/* SPDX-License-Identifier: MIT */
/*
 * A lease, for queue/lease.c, which makes and ends it, queue/lease_status.c, which tells of it, and
 * file_saved.c, which writes it down.
 */
#ifndef IPCFS_LEASE_ITEM_H
#define IPCFS_LEASE_ITEM_H

#include "fs/tree/deliveries.h"

/* The part of a lease that status shows. Constant. */
struct ipcfs_lease_holder {
	pid_t pid;	/* of the opener's thread */
	pid_t taker;	/* the thread whose read took the message */
	uid_t uid;	/* of the opener */
	uint64_t since; /* when it was taken, ns of ipcfs_clock_ns */
};

/* Constant, but for the links. The text of the message is that of the file. */
struct ipcfs_lease {
	struct ipcfs_lease_holder holder;
	struct ipcfs_message_mark mark; /* of the message; of a class with `lease` its type alone */
	size_t size;			/* of the message, bytes */
	uint64_t kept;			/* its number, of `keep` */
	uint64_t token;			/* of a class with `lease` */
	uint64_t deliveries;		/* how often it was handed out, with this time */
	uint64_t node;			/* the file's */
	struct ipcfs_lease *next, *prev;
};

#endif
