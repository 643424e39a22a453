/* SPDX-License-Identifier: MIT */
/* Removing a password from the memory of librabbitmq, which frees it without clearing it. */
#ifndef IPCFS_AMQP_WIPE_H
#define IPCFS_AMQP_WIPE_H

#include <stdbool.h>

/*
 * Clears the password wherever "\0USER\0PASSWORD", the form in which it goes to the broker, stands
 * in memory of this process that can be written. Returns false if memory or /proc are missing.
 */
bool ipcfs_amqp_wipe(const char *user, const char *password);

#endif
