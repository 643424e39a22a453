/* SPDX-License-Identifier: MIT */
/* The program file of an upgrade (upgrade.h): opens, checks and executes it. */
#ifndef IPCFS_UPGRADE_PROGRAM_H
#define IPCFS_UPGRADE_PROGRAM_H

#include <sys/types.h>

#include "fs/daemon/handover.h"

/* With a number behind them: the descriptor of a handover. */
#define IPCFS_UPGRADE_CHECK "--check-state="
#define IPCFS_UPGRADE_RESUME "--resume="

/*
 * Opens a program file that nobody but root and this process's user can write. Returns an O_PATH
 * descriptor, so that what was checked is what is executed. -1: *why is the reason.
 */
int ipcfs_upgrade_program_open(const char *path, const char **why);

/*
 * Starts the program with --check-state= and the descriptor `file` of a handover, in a session of
 * its own. Returns its process id. *answer is a pipe of what it says, which does not wait. Errors
 * of pipe2(2) and fork(2).
 */
pid_t ipcfs_upgrade_program_check(int program, const struct ipcfs_handover *state, int file,
				  char **arguments, int *answer);

/*
 * Executes the program in place of this one, with --resume= and the handover. Returns only after an
 * error of ipcfs_handover_write or execve(2).
 */
int ipcfs_upgrade_program_execute(int program, const struct ipcfs_handover *state,
				  char **arguments);

#endif
