/* SPDX-License-Identifier: MIT */
/* The status of a queue, and that of a connection. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/names.h"

#define SILENCE_NS 2000000000ULL /* a queue that has not answered for so long is silent */

/* Returns the word for the state of a connection. */
static const char *state_of(const struct ipcfs_amqp_connection *connection)
{
	const struct ipcfs_amqp_link *links = connection->links;

	if (links[IPCFS_RECEIVE].up && links[IPCFS_SEND].up)
		return links[IPCFS_SEND].blocked ? "blocked" : "up";
	if (connection->refused)
		return "refused";
	return links[IPCFS_RECEIVE].socket >= 0 || links[IPCFS_SEND].socket >= 0 ? "connecting"
										 : "down";
}

/* Returns the word for the state of a queue: that of its connection, unless it is itself down. */
static const char *queue_state_of(const struct ipcfs_amqp_connection *connection,
				  const struct ipcfs_amqp_queue *queue)
{
	const char *state = state_of(connection);
	uint64_t now = ipcfs_amqp_clock();
	const struct ipcfs_amqp_handle *handle;

	if (strcmp(state, "up") != 0)
		return state;
	if (queue->down)
		return "down";
	DL_FOREACH (connection->handles, handle)
		if (handle->queue == queue && (handle->asked || handle->puts) && handle->silent &&
		    now - handle->silent > SILENCE_NS)
			return "silent";
	return state;
}

/* Appends what the broker has told of a queue, and the mount knows. */
static int add_state(const struct ipcfs_amqp_connection *connection,
		     const struct ipcfs_amqp_queue *queue, struct ipcfs_text *out)
{
	uint64_t looked = queue->looked ? queue->looked : queue->told;
	uint64_t messages = queue->looked ? queue->messages : queue->told_messages;
	char class[80];
	int err;

	snprintf(class, sizeof(class), "amqp/%s", connection->class.name);
	err = ipcfs_text_pair(out, "class", class);
	if (!err)
		err = ipcfs_text_pair(out, "name", queue->shown);
	if (err)
		return err;
	return ipcfs_text_printf(
		out,
		"uid=%u\ngid=%u\nmode=%04o\nstate=%s\nmessages=%llu\n"
		"consumers=%u\nlooked=%llu\nstale=unknown\nresent=%llu\nredelivered=%llu\n",
		queue->perm.uid, queue->perm.gid, queue->perm.mode,
		queue_state_of(connection, queue), (unsigned long long)messages, queue->readers,
		(unsigned long long)(ipcfs_amqp_clock() - looked) / 1000000000,
		(unsigned long long)queue->resent, (unsigned long long)queue->redelivered);
}

/* Appends what the management API has told of a queue, if it has. */
static int add_details(const struct ipcfs_amqp_detail *detail, struct ipcfs_text *out)
{
	static const char *const keys[IPCFS_AMQP_DETAILS_STRINGS] = {
		[IPCFS_AMQP_DETAILS_TYPE] = "type",
		[IPCFS_AMQP_DETAILS_UNACKED] = "unacked",
		[IPCFS_AMQP_DETAILS_BYTES] = "bytes",
		[IPCFS_AMQP_DETAILS_LEADER] = "leader",
		[IPCFS_AMQP_DETAILS_MEMBERS] = "members",
		[IPCFS_AMQP_DETAILS_ARGUMENTS] = "arguments",
	};
	const char *values[IPCFS_AMQP_DETAILS_STRINGS];
	int err = 0;

	if (!detail->size ||
	    !ipcfs_amqp_strings(detail->text, detail->size, values, IPCFS_AMQP_DETAILS_STRINGS))
		return 0;
	for (size_t i = 0; !err && i < IPCFS_AMQP_DETAILS_STRINGS; i++)
		err = ipcfs_text_pair(out, keys[i], values[i]);
	return err;
}

int ipcfs_amqp_queue_status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			    struct ipcfs_text *out)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	uint64_t end = ipcfs_amqp_clock() + SILENCE_NS;
	char name[IPCFS_AMQP_NAME_MAX + 1];
	struct ipcfs_amqp_detail detail;
	struct ipcfs_amqp_queue *queue;
	size_t start = out->size;
	int err = ipcfs_amqp_name_read(ref->name, name);

	if (err)
		return err;
	pthread_mutex_lock(&connection->lock);
	ipcfs_amqp_api_detail(connection, name, &detail);
	err = ipcfs_amqp_queue_find(connection, ref->name, SILENCE_NS, true, &queue);
	if (!err && queue->serial != ref->serial)
		err = -ENOENT;
	if (!err)
		err = add_state(connection, queue, out);
	ipcfs_amqp_api_detail_end(connection, err ? 0 : end, &detail);
	pthread_mutex_unlock(&connection->lock);
	if (!err)
		err = add_details(&detail, out);
	if (err)
		ipcfs_text_cut(out, start);
	return err;
}

int ipcfs_amqp_connection_status(const struct ipcfs_amqp_connection *connection,
				 struct ipcfs_text *out)
{
	const struct ipcfs_amqp_link *links = connection->links;
	int err = ipcfs_text_pair(out, "connection", connection->class.name);

	if (!err)
		err = ipcfs_text_printf(out, "state=%s\nsince=%lld\n", state_of(connection),
					(long long)connection->since);
	if (!err)
		err = ipcfs_text_pair(out, "node",
				      connection->settings.hosts[links[IPCFS_RECEIVE].host]);
	if (!err)
		err = ipcfs_text_pair(out, "version", connection->version);
	if (!err)
		err = ipcfs_text_pair(out, "last_error", connection->last_error);
	if (!err)
		err = ipcfs_text_printf(
			out, "connects=%u\nresent=%llu\nredelivered=%llu\nreturned=%llu\n",
			links[IPCFS_RECEIVE].connects + links[IPCFS_SEND].connects,
			(unsigned long long)connection->resent,
			(unsigned long long)connection->redelivered,
			(unsigned long long)connection->returned);
	if (!err)
		err = ipcfs_text_pair(out, "listing",
				      ipcfs_amqp_api_lists(connection) ? "api" : "known");
	if (!err && connection->settings.api)
		err = ipcfs_text_pair(out, "api_error", connection->api.error);
	return err;
}
