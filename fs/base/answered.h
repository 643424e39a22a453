/* SPDX-License-Identifier: MIT */
/*
 * Whether the request that a thread handles was answered already, by another thread, or will be.
 * If it was, its caller may have gone since, and another process may have its number.
 */
#ifndef IPCFS_ANSWERED_H
#define IPCFS_ANSWERED_H

#include <stdatomic.h>
#include <stdbool.h>

/* The requests of a thread. */
struct ipcfs_turns {
	atomic_uint now;      /* how many were begun and ended: odd while it handles one */
	atomic_uint held;     /* `now` for the last one whose thread keeps all that it uses */
	atomic_uint answered; /* `now` for the last one that another thread answered */
	/* The thread's own. */
	bool second;	  /* the request was left without an answer, and is handled again */
	bool again;	  /* the request is left without an answer */
	bool interrupted; /* the same, and it was interrupted */
};

/* Sets the turns of this thread, which must live as long as the thread. */
void ipcfs_answered_init(struct ipcfs_turns *turns);

/*
 * Allows that another thread answers the request of this thread, which keeps all that it uses: the
 * kernel may then forget nodes and close files.
 */
void ipcfs_answered_allow(void);

/* Returns whether another thread answered the request of this thread. */
bool ipcfs_answered(void);

/*
 * Notes that this thread leaves its request without an answer, as it takes long (long_work.h). The
 * request is handled again. `interrupted`: it was interrupted.
 */
void ipcfs_answered_again(bool interrupted);

/* Returns whether the request of this thread was left without an answer before. */
bool ipcfs_answered_second(void);

#endif
