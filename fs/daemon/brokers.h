/* SPDX-License-Identifier: MIT */
/* The brokers of -o amqp=. Without it, and in a build without brokers, nothing is done. */
#ifndef IPCFS_BROKERS_H
#define IPCFS_BROKERS_H

#include "fs/ops/options.h"

struct ipcfs_filesystem;

/*
 * Adds the connections of options->amqp_text, or of the file, whose text is kept there. A negative
 * errno was logged, but for -ENOMEM.
 */
int ipcfs_brokers_load(struct ipcfs_options *options);

/*
 * Forks the process that starts ipcfs-amqp. Call while there is one thread that has its privileges.
 * A negative errno was logged.
 */
int ipcfs_brokers_fork(void);

/*
 * Starts a thread for each connection, and ends them. Call while the file system is started. Errors
 * of pthread_create(3).
 */
int ipcfs_brokers_start(struct ipcfs_filesystem *fs);
void ipcfs_brokers_stop(void);

/* Reads the file again, at SIGHUP. The log says what was done. */
void ipcfs_brokers_reload(const struct ipcfs_options *options);

#endif
