/* SPDX-License-Identifier: MIT */
/* The thread of a connection: starts ipcfs-amqp, and reads what it says. */
#include "backends/amqp/link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/starter.h"
#include "backends/contract/descriptor.h"

#define NS_MS 1000000ULL
#define ASK_MS 2000
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000
#define REFUSED_MS 60000
#define EVENTS_MAX 32

uint64_t ipcfs_amqp_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void ipcfs_amqp_wake(struct ipcfs_amqp_connection *connection)
{
	(void)eventfd_write(connection->wake, 1); /* a full counter has woken the thread already */
}

static void note_error(struct ipcfs_amqp_connection *connection, int error, const char *text,
		       size_t size)
{
	snprintf(connection->last_error, sizeof(connection->last_error), "%s%s%.*s",
		 strerror(-error), size ? ": " : "", (int)size, text);
}

uint64_t ipcfs_amqp_after_about(unsigned ms)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK); /* else always the same */
	return ipcfs_amqp_clock() + ms * NS_MS * (750 + random % 501) / 1000;
}

static void answer_all(struct ipcfs_amqp_connection *connection, int error)
{
	struct ipcfs_amqp_question *question;

	DL_FOREACH (connection->questions, question) {
		question->done = true;
		question->error = error;
	}
	pthread_cond_broadcast(&connection->answered);
}

static void lose_handles(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction)
{
	struct ipcfs_amqp_handle *handle;

	DL_FOREACH (connection->handles, handle) {
		if (handle->direction != direction)
			continue;
		ipcfs_amqp_handle_lost(handle);
		handle->error = 0;
		handle->reopen = 0;
		ipcfs_amqp_ready(handle);
	}
}

/* Ends a link. The next one begins later, with the next host. */
static void link_down(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction)
{
	struct ipcfs_amqp_link *link = &connection->links[direction];

	if (link->up || !connection->since)
		connection->since = time(NULL);
	ipcfs_descriptor_close(&link->socket);
	link->up = link->blocked = link->failed = false;
	link->host = (link->host + 1) % connection->settings.host_count;
	link->retry = ipcfs_amqp_after_about(connection->refused ? REFUSED_MS : link->pause_ms);
	link->pause_ms = link->pause_ms * 2 < PAUSE_MAX_MS ? link->pause_ms * 2 : PAUSE_MAX_MS;
	lose_handles(connection, direction);
	if (direction == IPCFS_RECEIVE) {
		ipcfs_amqp_queues_unasked(connection, false);
		answer_all(connection, -EHOSTDOWN);
	}
}

void ipcfs_amqp_connect_anew(struct ipcfs_amqp_connection *connection, bool all)
{
	for (int direction = 0; direction < 2; direction++) {
		struct ipcfs_amqp_link *link = &connection->links[direction];

		if (link->socket >= 0 && !all)
			continue;
		link->pause_ms = PAUSE_MIN_MS;
		link->host = link->socket < 0 ? 0 : connection->settings.host_count - 1;
		link->failed = link->socket >= 0; /* which makes the first host the next one */
		link->retry = 0;
	}
	connection->refused = 0;
	ipcfs_amqp_wake(connection);
}

static void link_up(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction)
{
	struct ipcfs_amqp_link *link = &connection->links[direction];
	struct ipcfs_amqp_handle *handle;

	link->up = true;
	link->connects++;
	link->pause_ms = PAUSE_MIN_MS;
	connection->refused = 0;
	connection->silent_until = 0;
	connection->since = time(NULL);
	DL_FOREACH (connection->handles, handle)
		if (handle->direction == direction)
			ipcfs_amqp_handle_open(handle);
}

static const char *or_empty(const char *string)
{
	return string ? string : "";
}

static const char *number_text(char text[16], bool given, unsigned number)
{
	text[0] = '\0';
	if (given)
		snprintf(text, 16, "%u", number);
	return text;
}

/* Sends the log-in. Errors of ipcfs_amqp_send; -E2BIG. */
static int log_in(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction)
{
	const struct ipcfs_amqp_settings *settings = &connection->settings;
	const struct ipcfs_amqp_link *link = &connection->links[direction];
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_LOGIN };
	char port[16], heartbeat[16], most[16], uid[16], gid[16], text[IPCFS_AMQP_TEXT_MAX];
	const char *strings[IPCFS_AMQP_LOGIN_STRINGS] = {
		[IPCFS_AMQP_LOGIN_HOST] = settings->hosts[link->host],
		[IPCFS_AMQP_LOGIN_PORT] = number_text(port, true, settings->port),
		[IPCFS_AMQP_LOGIN_VHOST] = settings->vhost,
		[IPCFS_AMQP_LOGIN_USER] = or_empty(settings->user),
		[IPCFS_AMQP_LOGIN_PASSWORD_FILE] = or_empty(settings->password_file),
		[IPCFS_AMQP_LOGIN_CA] = or_empty(settings->ca),
		[IPCFS_AMQP_LOGIN_CERT] = or_empty(settings->cert),
		[IPCFS_AMQP_LOGIN_KEY] = or_empty(settings->key),
		[IPCFS_AMQP_LOGIN_HEARTBEAT] = number_text(heartbeat, true, settings->heartbeat),
		[IPCFS_AMQP_LOGIN_MAX_MESSAGE] = number_text(most, true, settings->max_message),
		[IPCFS_AMQP_LOGIN_SOURCE] = connection->source,
		[IPCFS_AMQP_LOGIN_UID] = number_text(uid, settings->runs_as, settings->run_uid),
		[IPCFS_AMQP_LOGIN_GID] = number_text(gid, settings->runs_as, settings->run_gid),
	};
	int err = 0;

	for (size_t i = 0; !err && i < IPCFS_AMQP_LOGIN_STRINGS; i++)
		err = ipcfs_amqp_string_add(text, &record.text, strings[i]);
	return err ? err : ipcfs_amqp_send(link->socket, &record, text, NULL);
}

/* Adds a socket to what the thread waits for. */
static int watch(struct ipcfs_amqp_connection *connection, int socket)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = socket };

	return epoll_ctl(connection->epoll, EPOLL_CTL_ADD, socket, &event) ? -errno : 0;
}

int ipcfs_amqp_run(struct ipcfs_amqp_connection *connection, int program, enum ipcfs_amqp_role role)
{
	int socket, err;

	ipcfs_amqp_end_round(connection);
	pthread_mutex_unlock(&connection->lock);
	socket = ipcfs_amqp_starter_run(program, role);
	pthread_mutex_lock(&connection->lock);
	err = socket < 0 ? socket : watch(connection, socket);
	if (err)
		ipcfs_descriptor_close(&socket);
	return err ? err : socket;
}

/* Starts ipcfs-amqp. */
static void link_start(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction)
{
	struct ipcfs_amqp_link *link = &connection->links[direction];
	int err;

	link->socket = ipcfs_amqp_run(connection, connection->program,
				      direction == IPCFS_SEND ? IPCFS_AMQP_PUBLISH
							      : IPCFS_AMQP_CONSUME);
	err = link->socket < 0 ? link->socket : log_in(connection, direction);
	if (!err)
		return;
	note_error(connection, err, "ipcfs-amqp", strlen("ipcfs-amqp"));
	link_down(connection, direction);
}

static void take_answer(struct ipcfs_amqp_connection *connection,
			const struct ipcfs_amqp_record *record)
{
	struct ipcfs_amqp_question *question;

	DL_SEARCH_SCALAR(connection->questions, question, number, record->number);
	if (question) {
		question->done = true;
		question->error = record->error;
		question->messages = record->messages;
		question->readers = record->readers;
	}
	ipcfs_amqp_queue_looked(connection, record);
	pthread_cond_broadcast(&connection->answered);
}

/* Notes whether the broker takes messages. Reading goes on. */
static void set_blocked(struct ipcfs_amqp_connection *connection, bool blocked)
{
	struct ipcfs_amqp_handle *handle;

	connection->links[IPCFS_SEND].blocked = blocked;
	DL_FOREACH (connection->handles, handle) {
		if (handle->direction != IPCFS_SEND)
			continue;
		if (!blocked && !handle->number && !handle->reopen)
			ipcfs_amqp_handle_open(handle);
		ipcfs_amqp_ready(handle);
	}
}

/* Handles a record about a queue. One that was closed meanwhile is unknown here. */
static void take_queue_record(struct ipcfs_amqp_connection *connection,
			      const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	struct ipcfs_amqp_handle *handle;

	if (record->error && record->text) /* ENDED, LOST */
		note_error(connection, record->error, packet->bytes, record->text);
	DL_SEARCH_SCALAR(connection->handles, handle, number, record->queue);
	if (handle)
		ipcfs_amqp_handle_record(handle, packet);
}

/* Handles a record. */
static void take_record(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction,
			const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_record *record = &packet->record;

	switch (record->type) {
	case IPCFS_AMQP_UP:
		snprintf(connection->version, sizeof(connection->version), "%.*s",
			 (int)record->text, packet->bytes);
		link_up(connection, direction);
		break;
	case IPCFS_AMQP_ANSWER:
		/* that there is no queue of a name is an answer like any other */
		if (record->error && record->error != -ENOENT && record->text)
			note_error(connection, record->error, packet->bytes, record->text);
		take_answer(connection, record);
		break;
	case IPCFS_AMQP_BLOCKED:
	case IPCFS_AMQP_UNBLOCKED:
		if (direction == IPCFS_SEND)
			set_blocked(connection, record->type == IPCFS_AMQP_BLOCKED);
		break;
	case IPCFS_AMQP_DOWN: /* the socket's end follows */
		note_error(connection, record->error, packet->bytes, record->text);
		connection->refused = record->error == -EACCES ? record->error : 0;
		break;
	default:
		take_queue_record(connection, packet);
	}
}

/* Clears the bytes of a message. */
static void clear(struct ipcfs_amqp_packet *packet)
{
	if (packet->record.body <= IPCFS_AMQP_INLINE_MAX)
		explicit_bzero(packet->bytes + packet->record.text, packet->record.body);
}

/* Reads all that a socket has. One that sends nonsense is not trusted any more. */
static void read_link(struct ipcfs_amqp_connection *connection, enum ipcfs_direction direction,
		      struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_link *link = &connection->links[direction];
	int got = 1;

	while (link->socket >= 0 && got == 1) {
		got = ipcfs_amqp_receive(link->socket, IPCFS_AMQP_FROM_HELPER, packet);
		if (got == 1) {
			take_record(connection, direction, packet);
			clear(packet);
			ipcfs_descriptor_close(&packet->descriptor);
		} else if (got != -EAGAIN) {
			link_down(connection, direction);
		}
	}
}

/* Reads what a descriptor has, which may be closed by now, or another one. */
static void read_any(struct ipcfs_amqp_connection *connection, int fd,
		     struct ipcfs_amqp_packet *packet)
{
	eventfd_t count;

	if (fd == connection->wake)
		(void)eventfd_read(fd, &count);
	if (fd == connection->api.socket)
		ipcfs_amqp_api_read(connection, packet);
	for (int direction = 0; direction < 2; direction++)
		if (connection->links[direction].socket == fd)
			read_link(connection, (enum ipcfs_direction)direction, packet);
}

/* Does what is due. Returns how long the thread may sleep, ms; -1: until an event. */
static int do_due(struct ipcfs_amqp_connection *connection)
{
	uint64_t now = ipcfs_amqp_clock(), next = ipcfs_amqp_api_due(connection, now);
	struct ipcfs_amqp_handle *handle;

	for (int direction = 0; direction < 2; direction++) {
		struct ipcfs_amqp_link *link = &connection->links[direction];

		if (link->failed)
			link_down(connection, (enum ipcfs_direction)direction);
		if (link->socket < 0 && link->retry <= now)
			link_start(connection, (enum ipcfs_direction)direction);
		if (link->socket < 0 && link->retry < next)
			next = link->retry;
	}
	DL_FOREACH (connection->handles, handle) {
		uint64_t due = ipcfs_amqp_handle_due(handle, now);

		if (due < next)
			next = due;
	}
	if (next == UINT64_MAX)
		return -1;
	now = ipcfs_amqp_clock();
	return next <= now ? 0 : (int)((next - now) / NS_MS + 1);
}

static void *connection_main(void *arg)
{
	struct ipcfs_amqp_connection *connection = arg;
	struct ipcfs_amqp_packet *packet = malloc(sizeof(*packet));
	struct epoll_event events[EVENTS_MAX];

	pthread_mutex_lock(&connection->lock);
	while (packet && !connection->stopping) {
		int timeout = do_due(connection), count;

		ipcfs_amqp_end_round(connection);
		pthread_mutex_unlock(&connection->lock);
		count = epoll_wait(connection->epoll, events, EVENTS_MAX, timeout);
		pthread_mutex_lock(&connection->lock);
		connection->in_round = true;
		for (int i = 0; i < count; i++)
			read_any(connection, events[i].data.fd, packet);
		ipcfs_amqp_tell_ready(connection);
	}
	for (int direction = 0; direction < 2; direction++)
		link_down(connection, (enum ipcfs_direction)direction);
	ipcfs_amqp_api_down(connection);
	ipcfs_amqp_end_round(connection);
	pthread_mutex_unlock(&connection->lock);
	free(packet);
	return NULL;
}

void ipcfs_amqp_pause(struct ipcfs_amqp_connection *connection, uint64_t end)
{
	const struct timespec time = { .tv_sec = (time_t)(end / 1000000000),
				       .tv_nsec = (long)(end % 1000000000) };

	/* ETIMEDOUT: at the end */
	(void)pthread_cond_timedwait(&connection->answered, &connection->lock, &time);
}

/* Waits for the answer to a question. The lock is released meanwhile. False: none has come. */
static bool await(struct ipcfs_amqp_connection *connection,
		  const struct ipcfs_amqp_question *question)
{
	uint64_t end = ipcfs_amqp_clock() + ASK_MS * NS_MS;

	while (!question->done && ipcfs_amqp_clock() < end)
		ipcfs_amqp_pause(connection, end);
	return question->done;
}

int ipcfs_amqp_ask(struct ipcfs_amqp_connection *connection, enum ipcfs_amqp_type type,
		   const char *text, size_t size, struct ipcfs_amqp_question *question)
{
	struct ipcfs_amqp_link *link = &connection->links[IPCFS_RECEIVE];
	struct ipcfs_amqp_record record = { .type = (uint8_t)type, .text = (uint32_t)size };
	bool answered;

	if (!link->up || ipcfs_amqp_clock() < connection->silent_until)
		return -EHOSTDOWN;
	*question = (struct ipcfs_amqp_question){ .number = ++connection->next_question };
	record.number = question->number;
	if (ipcfs_amqp_send(link->socket, &record, text, NULL))
		return -EHOSTDOWN;
	DL_APPEND(connection->questions, question);
	answered = await(connection, question);
	DL_DELETE(connection->questions, question);
	if (answered)
		return question->error;
	connection->silent_until = ipcfs_amqp_clock() + ASK_MS * NS_MS;
	return -EHOSTDOWN;
}

int ipcfs_amqp_link_init(struct ipcfs_amqp_connection *connection)
{
	pthread_condattr_t attributes;

	connection->epoll = epoll_create1(EPOLL_CLOEXEC);
	connection->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int direction = 0; direction < 2; direction++)
		connection->links[direction] = (struct ipcfs_amqp_link){
			.socket = -1,
			.pause_ms = PAUSE_MIN_MS,
		};
	pthread_mutex_init(&connection->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&connection->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	if (connection->epoll < 0 || connection->wake < 0)
		return -EMFILE;
	return watch(connection, connection->wake);
}

int ipcfs_amqp_link_start(struct ipcfs_amqp_connection *connection, ipcfs_amqp_ready_hook *ready,
			  void *arg)
{
	sigset_t all, before;
	int err;

	connection->ready = ready;
	connection->ready_arg = arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&connection->thread, NULL, connection_main, connection);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	connection->started = !err;
	return -err;
}

void ipcfs_amqp_link_stop(struct ipcfs_amqp_connection *connection)
{
	if (!connection->started)
		return;
	pthread_mutex_lock(&connection->lock);
	connection->stopping = true;
	ipcfs_amqp_wake(connection);
	pthread_mutex_unlock(&connection->lock);
	pthread_join(connection->thread, NULL);
	connection->started = false;
}
