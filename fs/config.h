/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: lines NAME = VALUE with the names of settings.h, by themselves or below
 * [ipcfs]; comments begin with ; or #.
 */
#ifndef IPCFS_CONFIG_H
#define IPCFS_CONFIG_H

#include "settings.h"

#define IPCFS_CONFIG_SIZE_MAX (64 * 1024) /* bytes of a file */

struct ipcfs_config_error {
	unsigned line; /* 0: of the file as a whole */
	char what[160];
};

/*
 * Set what the text says. -EINVAL, -ENOMEM: *error says what is wrong and where; *settings is to be
 * freed, as after success. -EOPNOTSUPP: made without the library.
 */
int ipcfs_config_parse(const char *text, size_t size, struct ipcfs_settings *settings,
		       struct ipcfs_config_error *error);

/*
 * Defaults, over them what the file says, over that what the command line gave. Only a regular file
 * that others can't write is read, and nothing waits. Negative: what is wrong was logged, with file and
 * line, and *settings is empty. Freed with ipcfs_settings_free.
 */
int ipcfs_config_load(const char *path, const struct ipcfs_settings *command_line,
		      struct ipcfs_settings *settings);

#endif
