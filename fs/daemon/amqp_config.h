/* SPDX-License-Identifier: MIT */
/* The file of -o amqp=: a section for each connection to a broker. */
#ifndef IPCFS_AMQP_CONFIG_H
#define IPCFS_AMQP_CONFIG_H

#include "backends/contract/amqp.h"
#include "fs/daemon/ini.h"

/* The connections of a file. */
struct ipcfs_amqp_config {
	struct ipcfs_amqp_settings connections[IPCFS_AMQP_CONNECTIONS_MAX];
	size_t count;
};

/*
 * Reads the connections from the text of a file. Free *config, after an error too.
 * -EINVAL: *error tells the line and the reason.
 * -EOPNOTSUPP: ipcfs was built without libinih.
 * -ENOMEM
 */
int ipcfs_amqp_config_parse(const char *text, size_t size, struct ipcfs_amqp_config *config,
			    struct ipcfs_config_error *error);
void ipcfs_amqp_config_free(struct ipcfs_amqp_config *config);

/*
 * Adds the classes of the connections of a file. The file must be root's or the daemon's, and nobody
 * else's to read. A file with one bad line is refused as a whole. A negative errno was logged.
 * *text, which the caller has to free, is set to what was read; if it is not NULL, it is used
 * instead.
 */
int ipcfs_amqp_config_load(const char *path, char **text);

/*
 * Reads the file again, and gives the connections their new settings. If it is refused, or has other
 * sections, all stays as it is. The log says what was done.
 */
void ipcfs_amqp_config_reload(const char *path);

#endif
