/* SPDX-License-Identifier: MIT */
/* The process that starts ipcfs-amqp: the daemon itself may execute nothing. */
#ifndef IPCFS_AMQP_STARTER_H
#define IPCFS_AMQP_STARTER_H

/* The word that a program is started with. */
enum ipcfs_amqp_role { IPCFS_AMQP_PUBLISH, IPCFS_AMQP_CONSUME, IPCFS_AMQP_ASK_API };

/*
 * Forks the process. Programs are chosen by number, from those registered before.
 * Errors of fork(2) and socketpair(2).
 */
int ipcfs_amqp_starter_fork(void);

/* Registers the program of this path, which stays the caller's. Returns its number. -ENOSPC. */
int ipcfs_amqp_starter_program(const char *path);

/*
 * Starts a program in a role. Returns a SOCK_SEQPACKET socket, which is its standard input, to be
 * closed.
 * -EHOSTDOWN: the process that starts programs does not answer within a second.
 * -EMFILE, -ENFILE.
 */
int ipcfs_amqp_starter_run(int program, enum ipcfs_amqp_role role);

/* Lets the process end. */
void ipcfs_amqp_starter_stop(void);

#endif
