/* SPDX-License-Identifier: MIT */
/* Messages to the operator: stderr in the foreground, syslog(3) once in the background. */
#ifndef IPCFS_LOG_H
#define IPCFS_LOG_H

/* One line, priority as syslog(3)'s LOG_ERR, ... Bytes that are not printable ASCII are escaped (\ooo). */
void ipcfs_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From now on to syslog. */
void ipcfs_log_background(void);

#endif
