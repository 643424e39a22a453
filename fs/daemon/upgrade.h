/* SPDX-License-Identifier: MIT */
/*
 * `ipcfs --upgrade`, in the supervisor: puts the installed program in the place of the one that
 * runs.
 *
 * The supervisor listens on a socket in the state directory (upgrade_socket.h). When root, or the
 * user who mounted, connects, it runs the program file with --check-state: does it know this state,
 * and can it be set up with it? If so, the supervisor executes the file. Its worker serves on
 * meanwhile. The new program, a supervisor with the same process id, has that worker stop between
 * two requests, ends it, and forks its own. If two of these end before one serves, it executes the
 * program before. Each answers the client when a worker serves.
 */
#ifndef IPCFS_UPGRADE_H
#define IPCFS_UPGRADE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/daemon/handover.h"

#define IPCFS_UPGRADE_EVENTS 2
#define IPCFS_UPGRADE_DEATHS 2 /* workers of the new program that may fail */

struct ipcfs_upgrade {
	struct ipcfs_handover *state; /* not owned; what the next program gets */
	char **arguments;	      /* of this process; not owned */
	const char *refusal;	      /* why the mount can't have another program; NULL: it can */
	bool taken;    /* the state was taken over from another program, by the one that runs now */
	bool trial;    /* the same, and no worker has served since */
	int deaths;    /* of workers, in the trial */
	int image;     /* the program that runs now, an O_PATH descriptor */
	int fresh;     /* the one to check and to execute, the same; -1: none */
	int checking;  /* a pidfd of the process that checks; -1: there is none */
	pid_t checker; /* it; 0: it was waited for */
	int status;    /* as wait(2) has it, of a checker that was */
	int answer;    /* what it says */
	uint64_t limit; /* when it has to end, ns */
};

/* The line that a program prints as the last one if it knows the state, with its version. */
#define IPCFS_UPGRADE_YES "ipcfs-state: yes "

/* Initialises. `arguments`: of main. */
void ipcfs_upgrade_init(struct ipcfs_upgrade *upgrade, struct ipcfs_handover *state,
			char **arguments);

/* Listens for clients about the mount of this device. An error is logged: nobody can ask then. */
void ipcfs_upgrade_listen(struct ipcfs_upgrade *upgrade, dev_t device);

/* Stops listening, at the mount's end, or in a worker, which leaves the socket's name alone. */
void ipcfs_upgrade_end(struct ipcfs_upgrade *upgrade, dev_t device);
void ipcfs_upgrade_leave(struct ipcfs_upgrade *upgrade);

/* Sets what to wait for with poll(2). Returns until when, ns; 0: for any time. */
uint64_t ipcfs_upgrade_events(const struct ipcfs_upgrade *upgrade,
			      struct pollfd events[IPCFS_UPGRADE_EVENTS]);

/* Serves what came. Returns true when the new program is to be executed. */
bool ipcfs_upgrade_serve(struct ipcfs_upgrade *upgrade,
			 const struct pollfd events[IPCFS_UPGRADE_EVENTS]);

/* Waits for a process that has ended, if it is the one that checks. False: it is not. */
bool ipcfs_upgrade_reap(struct ipcfs_upgrade *upgrade, pid_t process);

/* Executes the new program. Returns only if that fails; the client was told. */
void ipcfs_upgrade_execute(struct ipcfs_upgrade *upgrade);

/*
 * Executes the program before, which tells the client why. Returns only if that fails, which was
 * logged; the client was told.
 */
void ipcfs_upgrade_go_back(struct ipcfs_upgrade *upgrade, const char *why);

/* Tells the client that a worker serves. Call whenever one is ready. */
void ipcfs_upgrade_ready(struct ipcfs_upgrade *upgrade);

#endif
