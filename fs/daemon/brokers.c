/* SPDX-License-Identifier: MIT */
#include "fs/daemon/brokers.h"

#ifdef IPCFS_AMQP
#include <string.h>
#include <syslog.h>

#include "backends/contract/amqp.h"
#include "fs/base/log.h"
#include "fs/daemon/amqp_config.h"

int ipcfs_brokers_load(const struct ipcfs_options *options)
{
	return options->amqp ? ipcfs_amqp_config_load(options->amqp) : 0;
}

int ipcfs_brokers_fork(void)
{
	int result = ipcfs_amqp_fork();

	if (result < 0)
		ipcfs_log(LOG_ERR, "the process that starts ipcfs-amqp: %s", strerror(-result));
	return result;
}

int ipcfs_brokers_start(void)
{
	return ipcfs_amqp_start();
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
int ipcfs_brokers_load(const struct ipcfs_options *options)
{
	(void)options;
	return 0;
}

int ipcfs_brokers_fork(void)
{
	return 0;
}

int ipcfs_brokers_start(void)
{
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
