/* SPDX-License-Identifier: MIT */
/* Parses what is written to the files of semaphores. Pure functions. */
#ifndef IPCFS_SEMAPHORE_PARSE_H
#define IPCFS_SEMAPHORE_PARSE_H

#include "backends/contract/contract.h"

/*
 * Returns in *amount the sum of the lines written to wait, trywait, post or zero. Each line is a
 * number, or empty, which counts as 1.
 * -EINVAL: a line is no number.
 * -ERANGE: a number is 0, there is no line, or the sum is more than max.
 */
int ipcfs_semaphore_parse_amount(const char *bytes, size_t size, uint32_t max, uint32_t *amount);

/*
 * Returns in *value the number written to value. One newline may follow.
 * -EINVAL: the bytes are no number.
 * -ERANGE: the number is more than max.
 */
int ipcfs_semaphore_parse_value(const char *bytes, size_t size, uint32_t max, uint32_t *value);

/*
 * Appends the numbers written to values, as uint32_t. Blanks, commas and newlines separate numbers.
 * -EINVAL: there is something else than numbers.
 * -ERANGE: a number is more than max.
 * -ENOMEM
 */
int ipcfs_semaphore_parse_values(const char *bytes, size_t size, uint32_t max,
				 struct ipcfs_text *values);

/*
 * Appends the operations written to op, as struct ipcfs_semaphore_op: one line of NUMBER:DELTA,
 * separated by blanks. DELTA is +N, -N, N or 0.
 * -EINVAL: the line is malformed or empty, or there are two lines.
 * -EFBIG: a NUMBER is too large for any set.
 * -ERANGE: a DELTA is too large for any semaphore.
 * -ENOMEM
 */
int ipcfs_semaphore_parse_ops(const char *bytes, size_t size, struct ipcfs_text *ops);

#define IPCFS_CONDITION_SIZE 64 /* bytes of the name of a condition, with its NUL */

enum ipcfs_monitor_verb {
	IPCFS_MONITOR_WAIT,
	IPCFS_MONITOR_NOTIFY,
	IPCFS_MONITOR_BROADCAST,
	IPCFS_MONITOR_LEAVE,
	IPCFS_MONITOR_ENTER,
};

/* A line that a caller has written to monitor. */
struct ipcfs_monitor_request {
	enum ipcfs_monitor_verb verb;
	char condition[IPCFS_CONDITION_SIZE]; /* "": the condition without a name */
	uint32_t count;			      /* of waiters to notify */
};

/*
 * Parses what is written to monitor: one line with a verb and its words. The name of a condition
 * begins with a letter or _, and may also have digits, '.' and '-'.
 * -EINVAL: the line is malformed or empty, or there are two lines.
 * -ERANGE: the number of waiters to notify is 0, or more than UINT32_MAX.
 */
int ipcfs_semaphore_parse_verb(const char *bytes, size_t size,
			       struct ipcfs_monitor_request *request);

#endif
