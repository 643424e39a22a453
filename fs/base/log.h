/* SPDX-License-Identifier: MIT */
/*
 * Room fs/base: numbers, tables, settings, clocks, headers of requests, files of /proc, the log.
 * May be called by every room of fs/.
 * May call backends/contract.
 *
 * The log: messages to the operator, on stderr in the foreground and by syslog(3) in the
 * background.
 */
#ifndef IPCFS_LOG_H
#define IPCFS_LOG_H

/*
 * Logs one line of at most 1023 bytes. `priority` is one of syslog(3), such as LOG_ERR. Bytes that
 * are not printable ASCII are written as \ooo. Keeps errno.
 */
void ipcfs_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends all later messages to syslog(3). */
void ipcfs_log_background(void);

#endif
