/* SPDX-License-Identifier: MIT */
/* What ipcfs-amqp and ipcfs-amqp-api have in common: records, the password, the user. */
#ifndef IPCFS_AMQP_PROCESS_H
#define IPCFS_AMQP_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/amqp/records.h"

enum {
	IPCFS_AMQP_SOCKET = 0, /* the descriptor of the socket to the daemon */
	IPCFS_AMQP_PASSWORD_SIZE = 1024,
	IPCFS_AMQP_REASON_SIZE = 256,
};

/* Sends the daemon a record, and waits while the socket has no room. As ipcfs_amqp_send. */
int ipcfs_amqp_send_daemon(const struct ipcfs_amqp_record *record, const void *text,
			   const void *body);

/* Writes bytes as printable ASCII, and a NUL; others become '?'. Returns the length. */
uint32_t ipcfs_amqp_to_printable(const char *bytes, size_t size, char *line, size_t capacity);

/* Reads a decimal number. Returns false if it is malformed, or not in least..max. */
bool ipcfs_amqp_number(const char *text, unsigned long long least, unsigned long long max,
		       unsigned long long *value);

/*
 * Reads the first line of the password's file.
 * -E2BIG: it has no room.
 * Errors of open(2) and read(2).
 */
int ipcfs_amqp_read_password(const char *path, char password[IPCFS_AMQP_PASSWORD_SIZE]);

/*
 * Becomes a user for ever, without any other group. uid: "": it stays the user. Returns false if
 * that fails.
 */
bool ipcfs_amqp_become(const char *uid, const char *gid);

#endif
