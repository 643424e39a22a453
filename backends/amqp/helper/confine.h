/* SPDX-License-Identifier: MIT */
/* What ipcfs-amqp gives up. */
#ifndef IPCFS_AMQP_CONFINE_H
#define IPCFS_AMQP_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Before the log-in: no core, no debugger of the same user, no new privileges, and SIGKILL at the
 * parent's end. Errors of prctl(2) and setrlimit(2).
 */
int ipcfs_amqp_confine_early(void);

/*
 * After the log-in: no capabilities, memory for messages of `max_message` bytes, and only system
 * calls that use what is open. With `connects`, those by which libcurl makes connections of TCP,
 * too. Without libseccomp the calls are not limited.
 * -ENOMEM. Errors of capset(2), setrlimit(2) and seccomp(2).
 */
int ipcfs_amqp_confine(uint64_t max_message, bool connects);

#endif
