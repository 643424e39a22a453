/* SPDX-License-Identifier: MIT */
/* The list of a broker's queues, and more of each, as its management API tells them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/contract/descriptor.h"

#define NS_MS 1000000ULL
#define FRESH_NS (1000 * NS_MS)	     /* for so long, a list counts */
#define PATIENCE_NS (2000 * NS_MS)   /* for so long, a list is waited for */
#define BRIEFLY_NS (10 * NS_MS)	     /* for so long, a newer number of bytes */
#define SILENCE_NS (13000 * NS_MS)   /* for so long, ipcfs-amqp-api may need for a list */
#define STATISTICS_NS (5000 * NS_MS) /* for so long, the broker's own statistics count */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000
#define REFUSED_MS 60000

void ipcfs_amqp_api_init(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	api->socket = -1;
	api->pause_ms = PAUSE_MIN_MS;
}

/* Answers all who wait: there is no answer any more. */
static void answer_all(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_detail *detail;

	DL_FOREACH (connection->api.details, detail)
		detail->done = true;
	ipcfs_amqp_queues_unasked(connection, true);
	connection->api.list = 0;
	connection->api.open = 0;
	pthread_cond_broadcast(&connection->answered);
}

/* Notes that the list has failed. Another ipcfs-amqp-api is started in about `ms`. */
static void fail(struct ipcfs_amqp_connection *connection, unsigned ms)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	ipcfs_descriptor_close(&api->socket);
	api->anew = false;
	api->failed = true;
	api->retry = ipcfs_amqp_after_about(ms);
	answer_all(connection);
}

void ipcfs_amqp_api_down(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	unsigned pause = api->pause_ms;

	api->pause_ms = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	fail(connection, pause);
}

static const char *or_empty(const char *string)
{
	return string ? string : "";
}

static const char *id_text(char text[16], bool given, unsigned id)
{
	text[0] = '\0';
	if (given)
		snprintf(text, 16, "%u", id);
	return text;
}

/* Sends the log-in. Errors of ipcfs_amqp_send; -E2BIG. */
static int log_in(const struct ipcfs_amqp_connection *connection)
{
	const struct ipcfs_amqp_settings *settings = &connection->settings;
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_API };
	char uid[16], gid[16], text[IPCFS_AMQP_TEXT_MAX];
	const char *strings[IPCFS_AMQP_API_STRINGS] = {
		[IPCFS_AMQP_API_URL] = settings->api,
		[IPCFS_AMQP_API_VHOST] = settings->vhost,
		[IPCFS_AMQP_API_USER] = settings->user,
		[IPCFS_AMQP_API_PASSWORD_FILE] = settings->password_file,
		[IPCFS_AMQP_API_CA] = or_empty(settings->api_ca),
		[IPCFS_AMQP_API_CERT] = or_empty(settings->api_ca ? settings->cert : NULL),
		[IPCFS_AMQP_API_KEY] = or_empty(settings->api_ca ? settings->key : NULL),
		[IPCFS_AMQP_API_UID] = id_text(uid, settings->runs_as, settings->run_uid),
		[IPCFS_AMQP_API_GID] = id_text(gid, settings->runs_as, settings->run_gid),
	};
	int err = 0;

	for (size_t i = 0; !err && i < IPCFS_AMQP_API_STRINGS; i++)
		err = ipcfs_amqp_string_add(text, &record.text, strings[i]);
	return err ? err : ipcfs_amqp_send(connection->api.socket, &record, text, NULL);
}

/* Sends a question, whose number it sets. Errors of ipcfs_amqp_send. */
static int ask(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_record *record,
	       const char *text)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	int err;

	record->number = connection->next_question + 1;
	err = ipcfs_amqp_send(api->socket, record, text, NULL);
	if (err)
		return err;
	connection->next_question++;
	if (!api->open++) {
		api->heard = ipcfs_amqp_clock();
		ipcfs_amqp_wake(connection); /* for the time when it is silent */
	}
	return 0;
}

/* Asks for the list. Errors of ipcfs_amqp_send. */
static int ask_list(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_LIST };
	int err = ask(connection, &record, NULL);

	if (err)
		return err;
	api->list = record.number;
	api->count = 0;
	api->asked = ipcfs_amqp_clock();
	return 0;
}

/* Starts ipcfs-amqp-api, and asks for the first list. */
static void start(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	int err;

	api->socket = ipcfs_amqp_run(connection, api->program, IPCFS_AMQP_ASK_API);
	err = api->socket < 0 ? api->socket : 0;
	if (!err) /* the lock was released */
		err = connection->settings.api ? log_in(connection) : -ECANCELED;
	if (!err)
		err = ask_list(connection);
	if (!err)
		return;
	snprintf(api->error, sizeof(api->error), "%s: ipcfs-amqp-api", strerror(-err));
	ipcfs_amqp_api_down(connection);
}

uint64_t ipcfs_amqp_api_due(struct ipcfs_amqp_connection *connection, uint64_t now)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	if (api->anew) {
		fail(connection, 0);
		api->failed = false;
	}
	if (!connection->settings.api)
		return UINT64_MAX;
	if (api->socket >= 0 && api->open && api->heard + SILENCE_NS <= now) {
		snprintf(api->error, sizeof(api->error), "ipcfs-amqp-api is silent");
		ipcfs_amqp_api_down(connection);
	}
	if (api->socket < 0 && api->retry <= now)
		start(connection);
	if (api->socket < 0)
		return api->retry;
	return api->open ? api->heard + SILENCE_NS : UINT64_MAX;
}

void ipcfs_amqp_api_anew(struct ipcfs_amqp_connection *connection, bool all)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	api->anew |= all && api->socket >= 0;
	if (all)
		api->failed = false;
	api->pause_ms = PAUSE_MIN_MS;
	api->retry = 0;
	if (all)
		api->listed = 0;
}

/* Notes the queues of a list. -EPROTO: they were not asked for, or are too many. */
static int take_listed(struct ipcfs_amqp_connection *connection,
		       const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	const char *list = packet->bytes, *end = list + packet->record.body;
	struct ipcfs_amqp_listed queue;

	if (packet->record.number != api->list)
		return -EPROTO;
	while (ipcfs_amqp_listed_next(&list, end, &queue) == 1) {
		if (++api->count > IPCFS_AMQP_LISTED_MAX)
			return -EPROTO;
		if (ipcfs_amqp_queue_told(connection, &queue))
			return -ENOMEM;
	}
	return 0;
}

/* Notes that a list is complete. */
static void end_list(struct ipcfs_amqp_connection *connection,
		     const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	api->list = 0;
	api->listed = api->asked;
	api->failed = false;
	api->pause_ms = PAUSE_MIN_MS;
	snprintf(api->error, sizeof(api->error), "%.*s", (int)packet->record.text, packet->bytes);
}

/* Takes over the number of bytes from DETAILS. */
static void note_size(struct ipcfs_amqp_connection *connection,
		      const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_queue *queue = ipcfs_amqp_queue_detailed(connection,
								   packet->record.number);
	const char *details[IPCFS_AMQP_DETAILS_STRINGS];

	if (!queue)
		return;
	queue->detail = 0;
	if (packet->record.type != IPCFS_AMQP_DETAILS ||
	    !ipcfs_amqp_strings(packet->bytes, packet->record.text, details,
				IPCFS_AMQP_DETAILS_STRINGS))
		return;
	queue->bytes = strtoull(details[IPCFS_AMQP_DETAILS_BYTES], NULL, 10);
	queue->sized = ipcfs_amqp_clock();
}

/* Hands an answer to the thread that waits for it. */
static void answer(struct ipcfs_amqp_connection *connection, const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_detail *detail;

	note_size(connection, packet);
	DL_SEARCH_SCALAR(connection->api.details, detail, number, packet->record.number);
	if (!detail)
		return;
	detail->done = true;
	if (packet->record.type == IPCFS_AMQP_DETAILS) {
		detail->size = packet->record.text;
		memcpy(detail->text, packet->bytes, detail->size);
	}
}

/* Handles the answer to a question. -EPROTO: there is none. */
static int take_answer(struct ipcfs_amqp_connection *connection,
		       const struct ipcfs_amqp_packet *packet)
{
	if (!connection->api.open)
		return -EPROTO;
	connection->api.open--;
	if (packet->record.number == connection->api.list)
		end_list(connection, packet);
	else
		answer(connection, packet);
	return 0;
}

/* Handles a record. -EPROTO: it is none of this program. -ENOMEM. */
static int take(struct ipcfs_amqp_connection *connection, const struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_api_link *api = &connection->api;

	api->heard = ipcfs_amqp_clock();
	switch (packet->record.type) {
	case IPCFS_AMQP_LISTED:
		return take_listed(connection, packet);
	case IPCFS_AMQP_ANSWER:
	case IPCFS_AMQP_DETAILS:
		return take_answer(connection, packet);
	case IPCFS_AMQP_DOWN: /* the socket's end follows */
		snprintf(api->error, sizeof(api->error), "%.*s", (int)packet->record.text,
			 packet->bytes);
		if (packet->record.error == -EACCES)
			api->pause_ms = REFUSED_MS;
		return 0;
	default:
		return -EPROTO;
	}
}

void ipcfs_amqp_api_read(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_packet *packet)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	int got = 1;

	while (got == 1) {
		got = ipcfs_amqp_receive(api->socket, IPCFS_AMQP_FROM_HELPER, packet);
		if (got != 1)
			break;
		if (take(connection, packet))
			got = -EPROTO;
		ipcfs_descriptor_close(&packet->descriptor);
	}
	if (got != -EAGAIN && !*api->error)
		snprintf(api->error, sizeof(api->error), "%s",
			 got ? "a record of ipcfs-amqp-api is wrong" : "ipcfs-amqp-api has ended");
	if (got != -EAGAIN)
		ipcfs_amqp_api_down(connection);
	pthread_cond_broadcast(&connection->answered);
}

bool ipcfs_amqp_api_lists(const struct ipcfs_amqp_connection *connection)
{
	const struct ipcfs_amqp_api_link *api = &connection->api;

	return connection->settings.api && api->listed && !api->failed;
}

/* Returns whether a list that was asked for at this time or later has to be waited for. */
static bool is_wanted(const struct ipcfs_amqp_connection *connection, uint64_t time)
{
	const struct ipcfs_amqp_api_link *api = &connection->api;

	return connection->settings.api && !api->failed && !connection->stopping &&
	       api->listed < time;
}

/* Returns whether ipcfs-amqp-api can be asked. */
static bool is_there(const struct ipcfs_amqp_api_link *api)
{
	return api->socket >= 0 && !api->anew;
}

void ipcfs_amqp_api_list(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_api_link *api = &connection->api;
	uint64_t now = ipcfs_amqp_clock(), end = now + PATIENCE_NS;

	while (is_wanted(connection, now - FRESH_NS) && ipcfs_amqp_clock() < end) {
		if (is_there(api) && !api->list && ask_list(connection))
			return; /* it has ended */
		ipcfs_amqp_pause(connection, end);
	}
	if (is_wanted(connection, now - FRESH_NS))
		api->failed = true;
}

/* Asks about a queue. Returns the number of the question; 0: it was not asked. */
static uint64_t ask_detail(struct ipcfs_amqp_connection *connection, const char *name)
{
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_DETAIL,
		.text = (uint32_t)strlen(name),
	};

	if (!ipcfs_amqp_api_lists(connection) || !is_there(&connection->api) ||
	    ask(connection, &record, name))
		return 0;
	return record.number;
}

void ipcfs_amqp_api_detail(struct ipcfs_amqp_connection *connection, const char *name,
			   struct ipcfs_amqp_detail *detail)
{
	detail->number = ask_detail(connection, name);
	detail->done = !detail->number;
	detail->size = 0;
	DL_APPEND(connection->api.details, detail);
}

void ipcfs_amqp_api_detail_end(struct ipcfs_amqp_connection *connection, uint64_t end,
			       struct ipcfs_amqp_detail *detail)
{
	while (!detail->done && ipcfs_amqp_clock() < end)
		ipcfs_amqp_pause(connection, end);
	DL_DELETE(connection->api.details, detail);
}

int ipcfs_amqp_api_size(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_queue **queue)
{
	uint64_t serial = (*queue)->serial, now = ipcfs_amqp_clock();
	uint64_t end = now + ((*queue)->sized ? BRIEFLY_NS : PATIENCE_NS);

	if (!ipcfs_amqp_api_lists(connection) ||
	    ((*queue)->sized && now - (*queue)->sized < STATISTICS_NS))
		return 0;
	if (!(*queue)->detail)
		(*queue)->detail = ask_detail(connection, (*queue)->name);
	while (*queue && (*queue)->detail && ipcfs_amqp_clock() < end) {
		ipcfs_amqp_pause(connection, end);
		*queue = ipcfs_amqp_queue_at(connection, serial); /* the lock was released */
	}
	return *queue ? 0 : -ENOENT;
}
