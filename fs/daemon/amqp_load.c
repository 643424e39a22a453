/* SPDX-License-Identifier: MIT */
/* Reads the file of -o amqp=, at the start and at SIGHUP. */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/base/log.h"
#include "fs/daemon/amqp_config.h"

/* Checks the files that a connection names, which ipcfs-amqp reads later. */
static int check_files(const struct ipcfs_amqp_settings *settings, struct ipcfs_config_error *error)
{
	const char *const secret[] = { settings->password_file, settings->key };

	for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++) {
		char *text = NULL;
		size_t size = 0;
		int err = secret[i] ? ipcfs_ini_read(secret[i], true, &text, &size, error) : 0;

		if (text)
			explicit_bzero(text, size);
		free(text);
		if (err)
			ipcfs_ini_log(secret[i], error);
		if (err)
			return ipcfs_ini_fail(error, 0, "[%s] can't be used", settings->name);
	}
	return 0;
}

/*
 * Parses and checks the text of a file; NULL: reads the file, and sets *text, which is to be freed.
 * After an error *error tells the reason. Free *config in any case.
 */
static int read_text(const char *path, char **text, struct ipcfs_amqp_config *config,
		     struct ipcfs_config_error *error)
{
	size_t size = *text ? strlen(*text) : 0;
	int err = *text ? 0 : ipcfs_ini_read(path, true, text, &size, error);

	if (!err)
		err = ipcfs_amqp_config_parse(*text, size, config, error);
	for (size_t i = 0; !err && i < config->count; i++)
		err = check_files(&config->connections[i], error);
	return err;
}

int ipcfs_amqp_config_load(const char *path, char **text)
{
	struct ipcfs_amqp_config config = { 0 };
	struct ipcfs_config_error error = { 0 };
	int err = read_text(path, text, &config, &error);

	for (size_t i = 0; !err && i < config.count; i++) {
		err = ipcfs_amqp_add(&config.connections[i]);
		if (err)
			ipcfs_ini_fail(&error, 0, "%s", strerror(-err));
	}
	if (err)
		ipcfs_ini_log(path, &error);
	ipcfs_amqp_config_free(&config);
	return err;
}

void ipcfs_amqp_config_reload(const char *path)
{
	struct ipcfs_amqp_config config = { 0 };
	struct ipcfs_config_error error = { 0 };
	char *text = NULL;
	int err = read_text(path, &text, &config, &error);
	const char *refusal;

	free(text);

	refusal = err ? NULL : ipcfs_amqp_refuse_change(config.connections, config.count);
	if (refusal)
		err = ipcfs_ini_fail(&error, 0, "%s: that takes a new start of ipcfs", refusal);
	if (err) {
		ipcfs_ini_log(path, &error);
		ipcfs_log(LOG_ERR, "the connections to brokers are unchanged");
	} else {
		ipcfs_amqp_change(config.connections, config.count);
		ipcfs_log(LOG_NOTICE, "%s was read again", path);
	}
	ipcfs_amqp_config_free(&config);
}
