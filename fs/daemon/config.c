/* SPDX-License-Identifier: MIT */
#include "fs/daemon/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Explains why a setting was not taken. Returns a negative errno. */
static int explain(int err, unsigned line, const char *name, const char *wanted,
		   struct ipcfs_config_error *error)
{
	switch (err) {
	case -ENOENT:
		return ipcfs_ini_fail(error, line, "%s can't be set in a configuration file", name);
	case -E2BIG:
		return ipcfs_ini_fail(error, line, "%s: too many", name);
	case -ENOMEM:
		ipcfs_ini_fail(error, 0, "%s", strerror(ENOMEM));
		return -ENOMEM;
	default:
		return ipcfs_ini_fail(error, line, "%s: %s", name, wanted);
	}
}

/* Takes a setting. For ipcfs_ini_parse. */
static int take(void *arg, unsigned line, const char *section, const char *name, const char *value,
		struct ipcfs_config_error *error)
{
	struct ipcfs_settings *settings = arg;
	char wanted[IPCFS_SETTINGS_WANTED] = "";
	int err;

	if (section[0] != '\0' && strcmp(section, "ipcfs") != 0)
		return ipcfs_ini_fail(error, line, "section [%s], only [ipcfs] is known", section);
	if (ipcfs_settings_is_given(settings, name))
		return ipcfs_ini_fail(error, line, "%s is set twice", name);
	err = ipcfs_settings_set(settings, name, value, wanted);
	return err ? explain(err, line, name, wanted, error) : 0;
}

int ipcfs_config_parse(const char *text, size_t size, struct ipcfs_settings *settings,
		       struct ipcfs_config_error *error)
{
	ipcfs_settings_init(settings);
	return ipcfs_ini_parse(text, size, take, settings, error);
}

static int read_file(const char *path, struct ipcfs_settings *settings,
		     struct ipcfs_config_error *error)
{
	char *text = NULL;
	size_t size;
	int err;

	ipcfs_settings_init(settings);
	err = ipcfs_ini_read(path, false, &text, &size, error);
	if (!err)
		err = ipcfs_config_parse(text, size, settings, error);
	free(text);
	return err;
}

int ipcfs_config_load(const char *path, const struct ipcfs_settings *command_line,
		      struct ipcfs_settings *settings)
{
	struct ipcfs_config_error error = { 0 };
	int err = read_file(path, settings, &error);

	if (!err) {
		err = ipcfs_settings_override(settings, command_line);
		if (err)
			ipcfs_ini_fail(&error, 0, "%s", strerror(-err));
	}
	if (!err)
		return 0;
	ipcfs_ini_log(path, &error);
	ipcfs_settings_free(settings);
	return err;
}
