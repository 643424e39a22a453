/* SPDX-License-Identifier: MIT */
/* Other settings for a connection while the daemon runs. */
#include <stdlib.h>
#include <string.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/names.h"

static bool differ(const char *a, const char *b)
{
	return !a != !b || (a && strcmp(a, b) != 0);
}

static bool hosts_differ(const struct ipcfs_amqp_settings *a, const struct ipcfs_amqp_settings *b)
{
	if (a->host_count != b->host_count)
		return true;
	for (size_t i = 0; i < a->host_count; i++)
		if (strcmp(a->hosts[i], b->hosts[i]) != 0)
			return true;
	return false;
}

/* Returns whether the settings lead to another broker, or to another log-in there. */
static bool log_ins_differ(const struct ipcfs_amqp_settings *a, const struct ipcfs_amqp_settings *b)
{
	return hosts_differ(a, b) || a->port != b->port || differ(a->vhost, b->vhost) ||
	       differ(a->user, b->user) || differ(a->password_file, b->password_file) ||
	       differ(a->ca, b->ca) || differ(a->cert, b->cert) || differ(a->key, b->key) ||
	       a->heartbeat != b->heartbeat || a->max_message != b->max_message ||
	       a->runs_as != b->runs_as || a->run_uid != b->run_uid || a->run_gid != b->run_gid;
}

/* Returns whether the management API is another one, or is asked with other files. */
static bool apis_differ(const struct ipcfs_amqp_settings *a, const struct ipcfs_amqp_settings *b)
{
	return differ(a->api, b->api) || differ(a->api_ca, b->api_ca);
}

void ipcfs_amqp_connection_makers(struct ipcfs_amqp_connection *connection)
{
	const struct ipcfs_amqp_settings *settings = &connection->settings;
	/* a request may still look at the other one */
	bool second = connection->class.makers == &connection->makers[0];
	struct ipcfs_perm *makers = &connection->makers[second];

	*makers = (struct ipcfs_perm){ .mode = settings->has_makers ? 0775 : 0755 };
	makers->gid = makers->cgid = settings->make_group;
	connection->class.makers = makers;
}

bool ipcfs_amqp_connection_can_change(const struct ipcfs_amqp_connection *connection,
				      const struct ipcfs_amqp_settings *settings)
{
	return !differ(connection->settings.helper, settings->helper);
}

void ipcfs_amqp_connection_change(struct ipcfs_amqp_connection *connection,
				  struct ipcfs_amqp_settings *settings)
{
	struct ipcfs_amqp_settings before;
	bool again, api_again;

	pthread_mutex_lock(&connection->lock);
	before = connection->settings;
	again = log_ins_differ(&before, settings);
	api_again = again || apis_differ(&before, settings);
	connection->settings = *settings;
	/* the class and the starter have these two */
	connection->settings.name = before.name;
	connection->settings.helper = before.helper;
	before.name = settings->name;
	before.helper = settings->helper;
	*settings = before;
	ipcfs_amqp_connection_makers(connection);
	for (size_t i = 0; i < connection->queue_count; i++) {
		struct ipcfs_amqp_queue *queue = connection->queues[i];

		if (queue)
			queue->perm = ipcfs_amqp_rule_for(&connection->settings, queue->name);
	}
	ipcfs_amqp_api_anew(connection, api_again);
	ipcfs_amqp_connect_anew(connection, again);
	pthread_mutex_unlock(&connection->lock);
	ipcfs_amqp_settings_free(settings);
}
