/* SPDX-License-Identifier: MIT */
/* The queues that a connection has seen, their names, and the rules for them. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/names.h"

#define FRESH_NS 1000000000ULL	/* for so long, what the broker has told counts */
#define LISTED_NS 5000000000ULL /* for so long, what the last list has */

struct ipcfs_perm ipcfs_amqp_rule_for(const struct ipcfs_amqp_settings *settings, const char *name)
{
	struct ipcfs_perm perm = { .mode = 0600 };

	for (size_t i = 0; i < settings->rule_count; i++) {
		const struct ipcfs_amqp_rule *rule = &settings->rules[i];

		if (fnmatch(rule->pattern, name, FNM_NOESCAPE))
			continue;
		perm.mode = rule->mode;
		perm.uid = perm.cuid = rule->uid;
		perm.gid = perm.cgid = rule->gid;
		break;
	}
	return perm;
}

/* Returns the value of a hexadecimal digit as ipcfs_amqp_name_show writes it, or -1. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int ipcfs_amqp_name_read(const char *shown, char name[IPCFS_AMQP_NAME_MAX + 1])
{
	size_t size = 0;

	for (; *shown; shown++) {
		int high = *shown == '%' ? digit(shown[1]) : 0;
		int low = *shown == '%' && high >= 0 ? digit(shown[2]) : 0;
		int byte = *shown == '%' ? high * 16 + low : (unsigned char)*shown;

		if (high < 0 || low < 0 || !byte || size == IPCFS_AMQP_NAME_MAX)
			return -ENOENT;
		name[size++] = (char)byte;
		if (*shown == '%')
			shown += 2;
	}
	name[size] = '\0';
	return size ? 0 : -ENOENT;
}

int ipcfs_amqp_name_show(const char *name, char shown[NAME_MAX + 1])
{
	static const char digits[] = "0123456789ABCDEF";
	bool dots = !strcmp(name, ".") || !strcmp(name, "..");
	size_t size = 0;

	for (; *name; name++) {
		bool escaped = *name == '/' || *name == '%' || dots;

		if (size + (escaped ? 3 : 1) > NAME_MAX)
			return -ENAMETOOLONG;
		if (escaped) {
			shown[size++] = '%';
			shown[size++] = digits[(unsigned char)*name >> 4];
			shown[size++] = digits[*name & 15];
		} else {
			shown[size++] = *name;
		}
	}
	shown[size] = '\0';
	return 0;
}

static struct ipcfs_amqp_queue *queue_named(const struct ipcfs_amqp_connection *connection,
					    const char *name)
{
	struct ipcfs_amqp_queue *queue;

	HASH_FIND_STR(connection->by_name, name, queue);
	return queue;
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_at(struct ipcfs_amqp_connection *connection,
					     uint64_t serial)
{
	for (size_t i = 0; i < connection->queue_count; i++) {
		struct ipcfs_amqp_queue *queue = connection->queues[i];

		if (queue && !queue->gone && queue->serial == serial)
			return queue;
	}
	return NULL;
}

/* Returns a free place for a queue. NULL: no memory. */
static struct ipcfs_amqp_queue **free_place(struct ipcfs_amqp_connection *connection)
{
	struct ipcfs_amqp_queue **more;

	for (size_t *i = &connection->first_free; *i < connection->queue_count; (*i)++)
		if (!connection->queues[*i])
			return &connection->queues[*i];
	more = reallocarray(connection->queues, connection->queue_count + 1,
			    sizeof(struct ipcfs_amqp_queue *));
	if (!more)
		return NULL;
	connection->queues = more;
	more[connection->queue_count] = NULL;
	return &more[connection->queue_count++];
}

/* Returns a number for a name: the same after a restart, unless queues were deleted meanwhile. */
static uint64_t serial_of(const struct ipcfs_amqp_connection *connection, const char *name)
{
	uint64_t serial = 0xcbf29ce484222325 + connection->next_serial;

	for (; *name; name++)
		serial = (serial ^ (unsigned char)*name) * 0x100000001b3;
	return serial;
}

/* Finds a queue that is known, or makes it known. -ENOMEM. -ENOENT: the tree can't show it. */
static int make_known(struct ipcfs_amqp_connection *connection, const char *name,
		      struct ipcfs_amqp_queue **queue)
{
	struct ipcfs_amqp_queue *known = queue_named(connection, name), **place;

	*queue = known;
	if (known)
		return 0;
	known = calloc(1, sizeof(*known));
	place = known ? free_place(connection) : NULL;
	if (!place || ipcfs_amqp_name_show(name, known->shown)) {
		free(known);
		return place ? -ENOENT : -ENOMEM;
	}
	strcpy(known->name, name); /* of IPCFS_AMQP_NAME_MAX bytes, as ipcfs_amqp_name_read */
	HASH_ADD_STR(connection->by_name, name, known);
	if (!known->hh.tbl) {
		free(known);
		return -ENOMEM;
	}
	known->serial = serial_of(connection, name);
	known->perm = ipcfs_amqp_rule_for(&connection->settings, name);
	clock_gettime(CLOCK_REALTIME, &known->since);
	*place = *queue = known;
	return 0;
}

int ipcfs_amqp_queue_note(struct ipcfs_amqp_connection *connection, const char *name,
			  struct ipcfs_amqp_queue **queue)
{
	int err = make_known(connection, name, queue);

	if (!err)
		(*queue)->looked = ipcfs_amqp_clock();
	return err;
}

int ipcfs_amqp_queue_told(struct ipcfs_amqp_connection *connection,
			  const struct ipcfs_amqp_listed *told)
{
	struct ipcfs_amqp_queue *queue = queue_named(connection, told->name);
	int err = 0;

	if (!queue && HASH_COUNT(connection->by_name) >= IPCFS_AMQP_LISTED_MAX)
		return 0;
	if (!queue)
		err = make_known(connection, told->name, &queue);
	if (err)
		return err == -ENOENT ? 0 : err;
	queue->told = queue->sized = ipcfs_amqp_clock();
	queue->told_messages = told->messages;
	queue->bytes = told->bytes;
	return 0;
}

void ipcfs_amqp_queue_release(struct ipcfs_amqp_connection *connection,
			      struct ipcfs_amqp_queue *queue)
{
	if (queue->handles || !queue->gone)
		return;
	for (size_t i = 0; i < connection->queue_count; i++) {
		if (connection->queues[i] != queue)
			continue;
		connection->queues[i] = NULL;
		if (i < connection->first_free)
			connection->first_free = i;
	}
	free(queue);
}

void ipcfs_amqp_queue_gone(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_queue *queue)
{
	if (queue->gone)
		return;
	queue->gone = true;
	HASH_DEL(connection->by_name, queue);
	connection->next_serial++; /* the next queue of the name is another one */
	ipcfs_amqp_queue_release(connection, queue);
}

void ipcfs_amqp_queue_look(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_queue *queue)
{
	const struct ipcfs_amqp_link *link = &connection->links[IPCFS_RECEIVE];
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_LOOK,
		.number = connection->next_question + 1,
		.text = (uint32_t)strlen(queue->name),
	};

	if (queue->question || !link->up ||
	    ipcfs_amqp_send(link->socket, &record, queue->name, NULL))
		return;
	connection->next_question = queue->question = record.number;
	queue->asked = ipcfs_amqp_clock();
}

/* Returns the queue about which the question was. NULL: there is none. */
static struct ipcfs_amqp_queue *asked_about(const struct ipcfs_amqp_connection *connection,
					    uint64_t question)
{
	for (size_t i = 0; question && i < connection->queue_count; i++)
		if (connection->queues[i] && connection->queues[i]->question == question)
			return connection->queues[i];
	return NULL;
}

struct ipcfs_amqp_queue *ipcfs_amqp_queue_detailed(const struct ipcfs_amqp_connection *connection,
						   uint64_t number)
{
	for (size_t i = 0; number && i < connection->queue_count; i++)
		if (connection->queues[i] && connection->queues[i]->detail == number)
			return connection->queues[i];
	return NULL;
}

void ipcfs_amqp_queue_looked(struct ipcfs_amqp_connection *connection,
			     const struct ipcfs_amqp_record *record)
{
	struct ipcfs_amqp_queue *queue = asked_about(connection, record->number);
	struct ipcfs_amqp_handle *handle;

	if (!queue)
		return;
	queue->question = 0;
	if (!record->error) {
		queue->messages = record->messages;
		queue->readers = record->readers;
		queue->looked = ipcfs_amqp_clock();
	}
	DL_FOREACH (connection->handles, handle)
		if (handle->queue == queue && handle->polled)
			ipcfs_amqp_looked(handle);
	if (record->error == -ENOENT)
		ipcfs_amqp_queue_gone(connection, queue);
}

void ipcfs_amqp_queues_unasked(struct ipcfs_amqp_connection *connection, bool details)
{
	for (size_t i = 0; i < connection->queue_count; i++) {
		struct ipcfs_amqp_queue *queue = connection->queues[i];

		if (queue)
			*(details ? &queue->detail : &queue->question) = 0;
	}
}

/* Takes over what a LOOK has told. */
static int note_look(struct ipcfs_amqp_connection *connection, const char *name,
		     const struct ipcfs_amqp_question *question, struct ipcfs_amqp_queue **queue)
{
	int err = ipcfs_amqp_queue_note(connection, name, queue);

	if (err)
		return err;
	(*queue)->messages = question->messages;
	(*queue)->readers = question->readers;
	return 0;
}

/*
 * Returns whether the answer about a known queue is not older than a second; or if it came with the
 * last list, five: so `ls -l` needs no other.
 */
static bool is_fresh(const struct ipcfs_amqp_connection *connection,
		     const struct ipcfs_amqp_queue *queue, bool looks)
{
	uint64_t now = ipcfs_amqp_clock();

	return now - queue->looked < FRESH_NS ||
	       (!looks && queue->told >= connection->api.listed && now - queue->told < LISTED_NS);
}

/* Has the answer about a known queue renewed, if it is not fresh. As ..._queue_find. */
static int renew(struct ipcfs_amqp_connection *connection, const char *name, uint64_t patience,
		 struct ipcfs_amqp_queue **queue)
{
	ipcfs_amqp_queue_look(connection, *queue);
	while (*queue && (*queue)->question && ipcfs_amqp_clock() < (*queue)->asked + patience) {
		ipcfs_amqp_pause(connection, (*queue)->asked + patience);
		*queue = queue_named(connection, name); /* the lock was released */
	}
	return *queue ? 0 : -ENOENT;
}

int ipcfs_amqp_queue_find(struct ipcfs_amqp_connection *connection, const char *shown,
			  uint64_t patience, bool looks, struct ipcfs_amqp_queue **queue)
{
	char name[IPCFS_AMQP_NAME_MAX + 1];
	struct ipcfs_amqp_question question;
	int err = ipcfs_amqp_name_read(shown, name);

	if (err)
		return err;
	*queue = queue_named(connection, name);
	if (*queue)
		return is_fresh(connection, *queue, looks)
			       ? 0
			       : renew(connection, name, patience, queue);
	err = ipcfs_amqp_ask(connection, IPCFS_AMQP_LOOK, name, strlen(name), &question);
	return err ? err : note_look(connection, name, &question, queue);
}
