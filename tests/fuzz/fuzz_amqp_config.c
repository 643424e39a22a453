/* SPDX-License-Identifier: MIT */
/* The file of -o amqp=. What is accepted has all that a connection needs; an error has its text. */
#include <stdint.h>
#include <stdlib.h>

#include "fs/daemon/amqp_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_config_error error = { 0 };
	struct ipcfs_amqp_config config;
	int err;

	if (size > IPCFS_CONFIG_SIZE_MAX)
		return 0;
	err = ipcfs_amqp_config_parse((const char *)data, size, &config, &error);
	check(!err == !error.what[0]);
	for (size_t i = 0; !err && i < config.count; i++) {
		const struct ipcfs_amqp_settings *settings = &config.connections[i];

		check(settings->name && settings->host_count && settings->vhost);
		check(settings->port && settings->heartbeat && settings->helper);
		check((settings->user && settings->password_file) ||
		      (settings->cert && settings->key));
		for (size_t j = 0; j < settings->rule_count; j++)
			check(settings->rules[j].pattern && settings->rules[j].mode <= 0777);
	}
	ipcfs_amqp_config_free(&config);
	return 0;
}
