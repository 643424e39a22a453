/* SPDX-License-Identifier: MIT */
#include "fs/daemon/brokers.h"

#ifdef IPCFS_AMQP
#include <string.h>
#include <syslog.h>

#include "backends/contract/amqp.h"
#include "fs/base/log.h"
#include "fs/daemon/amqp_config.h"
#include "fs/wait/waits.h"

int ipcfs_brokers_load(struct ipcfs_options *options)
{
	return options->amqp ? ipcfs_amqp_config_load(options->amqp, &options->amqp_text) : 0;
}

int ipcfs_brokers_fork(void)
{
	int result = ipcfs_amqp_fork();

	if (result < 0)
		ipcfs_log(LOG_ERR, "the process that starts ipcfs-amqp: %s", strerror(-result));
	return result;
}

/* Serves those who wait for a handle. For ipcfs_amqp_start. */
static void serve(void *arg, int handle)
{
	struct ipcfs_filesystem *fs = arg;

	ipcfs_waits_ready(fs->waits, handle);
}

int ipcfs_brokers_start(struct ipcfs_filesystem *fs)
{
	return ipcfs_amqp_start(serve, fs);
}

void ipcfs_brokers_stop(void)
{
	ipcfs_amqp_stop();
}

void ipcfs_brokers_reload(const struct ipcfs_options *options)
{
	if (options->amqp)
		ipcfs_amqp_config_reload(options->amqp);
}
#else
int ipcfs_brokers_load(struct ipcfs_options *options)
{
	(void)options;
	return 0;
}

int ipcfs_brokers_fork(void)
{
	return 0;
}

int ipcfs_brokers_start(struct ipcfs_filesystem *fs)
{
	(void)fs;
	return 0;
}

void ipcfs_brokers_stop(void)
{
}

void ipcfs_brokers_reload(const struct ipcfs_options *options)
{
	(void)options;
}
#endif
