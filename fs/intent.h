/* SPDX-License-Identifier: MIT */
/* What is written into the files of semaphores, read as what is to be done. Pure. */
#ifndef IPCFS_INTENT_H
#define IPCFS_INTENT_H

#include "../backends/backend.h"

/*
 * wait, trywait, post, zero: lines, each a number from 1 on or empty, which is 1; their sum. -EINVAL:
 * malformed; -ERANGE: 0, or the sum is more than max.
 */
int ipcfs_intent_amount(const char *bytes, size_t size, uint32_t max, uint32_t *amount);

/* value: one number, and perhaps a newline. -EINVAL, -ERANGE. */
int ipcfs_intent_value(const char *bytes, size_t size, uint32_t max, uint32_t *value);

/*
 * values: numbers with blanks, commas or newlines between them, appended as uint32_t. -EINVAL, -ERANGE,
 * -ENOMEM.
 */
int ipcfs_intent_values(const char *bytes, size_t size, uint32_t max, struct ipcfs_text *values);

/*
 * op: one line of NUMBER:DELTA with blanks between them, DELTA being +N, -N, N or 0, appended as struct
 * ipcfs_semaphore_op. -EINVAL: malformed, nothing, or two lines; -EFBIG, -ERANGE: a number, a delta that no
 * semaphore can have; -ENOMEM.
 */
int ipcfs_intent_ops(const char *bytes, size_t size, struct ipcfs_text *ops);

#endif
