/* SPDX-License-Identifier: MIT */
/*
 * Bytes in memory that grows. All message bytes are kept in such a text: its memory is cleared with
 * explicit_bzero(3) when bytes are moved, dropped or freed.
 *
 * A function that writes into the memory behind `size` itself sets `size` at once, so that these
 * bytes are cleared as well.
 *
 * There is no lock: the owner of the struct keeps other threads away. A zeroed struct is an empty
 * text.
 */
#ifndef IPCFS_TEXT_H
#define IPCFS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct ipcfs_text {
	char *data;	 /* owned; NULL until the first bytes are added */
	size_t size;	 /* bytes in use */
	size_t capacity; /* bytes allocated */
};

/* Returns the capacity that the text will have after ipcfs_text_reserve. */
size_t ipcfs_text_grown(const struct ipcfs_text *text, size_t more);

/*
 * Allocates memory for at least `more` bytes behind the text.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_text_reserve(struct ipcfs_text *text, size_t more);

/*
 * Appends bytes.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_text_add(struct ipcfs_text *text, const void *bytes, size_t size);

/*
 * Appends what printf(3) would print, without a NUL.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_text_printf(struct ipcfs_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Appends the line `key=value` of a status file. A value with bytes that mean something to a POSIX
 * shell is quoted ('...', with '\'' for a quote), so that a shell can source the file.
 * -ENOMEM: nothing has changed.
 */
int ipcfs_text_pair(struct ipcfs_text *text, const char *key, const char *value);

/* Removes the first `size` bytes, or all where there are fewer, and clears their memory. */
void ipcfs_text_drop(struct ipcfs_text *text, size_t size);

/* Keeps the first `size` bytes, and clears and removes those behind. */
void ipcfs_text_cut(struct ipcfs_text *text, size_t size);

/* Clears and frees the memory. The struct is an empty text then. */
void ipcfs_text_free(struct ipcfs_text *text);

#endif
