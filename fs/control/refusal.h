/* SPDX-License-Identifier: MIT */
/* Why a request was refused: a line of text for the caller and for the log. */
#ifndef IPCFS_REFUSAL_H
#define IPCFS_REFUSAL_H

#include <stddef.h>
#include <sys/types.h>

/* One line without its newline: "WORD: why". Printable ASCII only. */
struct ipcfs_refusal {
	char text[320];
};

/*
 * Sets the reason: the word, and why it is wrong, as printf(3). Of a long word only the beginning
 * is kept; bytes that are not printable become \ooo.
 */
void ipcfs_refusal_set(struct ipcfs_refusal *reason, const char *word, size_t size,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Logs that this uid was refused. Of a flood only a few lines a second are logged; a later line
 * has the number of those that were left out.
 */
void ipcfs_refusal_log(uid_t uid, const struct ipcfs_refusal *reason);

#endif
