/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes. Everything that may hold message bytes lives in one of these: what it
 * held is cleared (explicit_bzero) whenever memory is moved, dropped or freed.
 *
 * Whoever writes into the room behind `size` directly sets size before anything else happens, so that
 * it is cleared as well.
 *
 * Not locked: the owner of the struct sees to that. A zeroed struct is a valid, empty one.
 */
#ifndef IPCFS_TEXT_H
#define IPCFS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct ipcfs_text {
	char *data;  /* owned; NULL while nothing was ever put in */
	size_t size; /* bytes in use */
	size_t room; /* bytes allocated */
};

/* Make room for at least `more` bytes behind what is there. 0 or -ENOMEM (nothing changed). */
int ipcfs_text_reserve(struct ipcfs_text *text, size_t more);

/* Append bytes. 0 or -ENOMEM (nothing changed). */
int ipcfs_text_add(struct ipcfs_text *text, const void *bytes, size_t size);

/* Append printf(3) output, without its terminating NUL. 0 or -ENOMEM (nothing changed). */
int ipcfs_text_printf(struct ipcfs_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Append one line `key=value` of a status file, the value quoted where a POSIX shell needs it
 * ('...' with '\'' inside), so that the line can be sourced. 0 or -ENOMEM.
 */
int ipcfs_text_pair(struct ipcfs_text *text, const char *key, const char *value);

/* Remove the first `size` bytes (at most what is there), clear the place they leave. */
void ipcfs_text_drop(struct ipcfs_text *text, size_t size);

/* Keep the first `size` bytes (at most what is there), clear the rest. */
void ipcfs_text_cut(struct ipcfs_text *text, size_t size);

/* Clear and free; the struct is then a valid, empty one. */
void ipcfs_text_free(struct ipcfs_text *text);

#endif
