/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: lines NAME = VALUE with the names of settings.h, before any section or
 * below [ipcfs]. Comments begin with ; or #.
 */
#ifndef IPCFS_CONFIG_H
#define IPCFS_CONFIG_H

#include "fs/base/settings.h"
#include "fs/daemon/ini.h"

/*
 * Reads the settings from the text of a file. Free *settings, after an error too.
 *   -EINVAL: *error tells the line and the reason.
 *   -EOPNOTSUPP: ipcfs was built without libinih.
 *   -ENOMEM
 */
int ipcfs_config_parse(const char *text, size_t size, struct ipcfs_settings *settings,
		       struct ipcfs_config_error *error);

/*
 * Joins defaults, the settings of a file and those of the command line; later ones take precedence.
 * The file must be a regular one that is not writable for everybody; opening it never waits. Free
 * *settings with ipcfs_settings_free. A negative errno was logged with file and line; *settings is
 * then empty.
 */
int ipcfs_config_load(const char *path, const struct ipcfs_settings *command_line,
		      struct ipcfs_settings *settings);

#endif
