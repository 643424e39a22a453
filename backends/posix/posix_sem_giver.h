/* SPDX-License-Identifier: MIT */
/* The process of the keeper (posix_sem_keeper.h), and the orders that it gets. */
#ifndef IPCFS_POSIX_SEM_GIVER_H
#define IPCFS_POSIX_SEM_GIVER_H

#include <stdbool.h>
#include <stdint.h>

enum ipcfs_posix_sem_order_action {
	IPCFS_POSIX_SEM_WATCH,	   /* a semaphore, whose descriptor comes with the order */
	IPCFS_POSIX_SEM_UNWATCH,   /* the only one without an answer */
	IPCFS_POSIX_SEM_GIVE_BACK, /* the holds of the semaphore back, and watch it no more */
};

/* A message to the keeper. */
struct ipcfs_posix_sem_order {
	uint32_t slot;
	uint32_t serial;
	enum ipcfs_posix_sem_order_action action;
};

/* The keeper's answer to an order, and before the first one. */
struct ipcfs_posix_sem_answer {
	uint32_t serial; /* of the order; IPCFS_POSIX_SEM_STARTED: the keeper is ready */
	bool done;
};

#define IPCFS_POSIX_SEM_STARTED 0 /* no order has this serial */

/*
 * Runs as the keeper, in a child of the daemon, until all who have the other end of the socket have
 * ended. `confine` limits its system calls; NULL: they stay the daemon's.
 */
_Noreturn void ipcfs_posix_sem_giver_run(int socket, int (*confine)(void));

#endif
