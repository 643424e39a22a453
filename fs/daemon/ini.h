/* SPDX-License-Identifier: MIT */
/* Files of lines NAME = VALUE, in sections. Comments begin with ; or #. */
#ifndef IPCFS_INI_H
#define IPCFS_INI_H

#include <stdbool.h>
#include <stddef.h>

#define IPCFS_CONFIG_SIZE_MAX (64 * 1024) /* bytes of a file */

struct ipcfs_config_error {
	unsigned line; /* 0: the error concerns the whole file */
	char what[160];
};

/* Sets the error. Returns -EINVAL. */
int ipcfs_ini_fail(struct ipcfs_config_error *error, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Takes a setting of a line. `section` is "" before the first one. Returns 0, or a negative errno
 * that ends the reading; *error then tells why.
 */
typedef int ipcfs_ini_take(void *arg, unsigned line, const char *section, const char *name,
			   const char *value, struct ipcfs_config_error *error);

/*
 * Reads the settings of a text.
 * -EINVAL, -ENOMEM, and the errors of `take`: *error tells the line and the reason.
 * -EOPNOTSUPP: ipcfs was built without libinih.
 */
int ipcfs_ini_parse(const char *text, size_t size, ipcfs_ini_take *take, void *arg,
		    struct ipcfs_config_error *error);

/*
 * Reads a file. It must be a regular one of root's or the daemon's user that others may not write,
 * or with `secret` not read either. Opening it never waits. *text is to be freed.
 * -EINVAL: *error tells the reason.
 */
int ipcfs_ini_read(const char *path, bool secret, char **text, size_t *size,
		   struct ipcfs_config_error *error);

/* Logs the error of a file. */
void ipcfs_ini_log(const char *path, const struct ipcfs_config_error *error);

#endif
