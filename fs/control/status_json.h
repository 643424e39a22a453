/* SPDX-License-Identifier: MIT */
/* Writing the lines of status as JSON. Pure. */
#ifndef IPCFS_STATUS_JSON_H
#define IPCFS_STATUS_JSON_H

#include "backends/contract/text.h"

/*
 * Appends the lines of a status file as one line with a JSON object. A value that is a decimal
 * number becomes a number, any other a string; class and name are always strings. In a string that
 * is not UTF-8 each byte that belongs to no character becomes the character of this number (U+0080
 * to U+00FF), and a field KEY_hex follows with all bytes of the value in hexadecimal.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_status_json(const struct ipcfs_text *status, struct ipcfs_text *out);

#endif
