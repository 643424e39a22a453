/* SPDX-License-Identifier: MIT */
/*
 * ipcfs-amqp-api: asks the management API of a broker for ipcfs, which starts it. Descriptor 0 is a
 * socket, see backends/amqp/records.h. It does one thing at a time, and ends when the API does not
 * answer as it should: the daemon starts another one later.
 * Exit status: 0: the daemon closed the socket; 1: anything else, which the last record tells.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/amqp/helper/api_http.h"
#include "backends/amqp/helper/api_json.h"
#include "backends/amqp/helper/confine.h"
#include "backends/contract/descriptor.h"

enum {
	PAGE_QUEUES = 500, /* the most that RabbitMQ gives */
	LIST_S = 10,	   /* of a list, all its pages */
	OK = 200,
	BAD_REQUEST = 400,
	NOT_FOUND = 404,
};

#define LIST_COLUMNS "name,messages_ready,message_bytes"
#define DETAIL_COLUMNS                                                                             \
	"name,type,node,leader,members,messages_unacknowledged,message_bytes,arguments"

static struct ipcfs_amqp_api api;
static struct ipcfs_amqp_packet packet;

/* A list that is being told. */
static struct {
	uint64_t number;
	uint32_t size, count;
	bool more; /* than a list has */
	char body[IPCFS_AMQP_INLINE_MAX];
} list;

static void tell(const struct ipcfs_amqp_record *record, const void *text, const void *body)
{
	int err = api.error ? 0 : ipcfs_amqp_send_daemon(record, text, body);

	if (err)
		ipcfs_amqp_api_fail(&api, err, "can't send to the daemon");
}

static void answer(uint64_t number, int error, const char *text)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_ANSWER,
		.number = number,
		.error = error,
		.text = (uint32_t)strlen(text),
	};

	tell(&record, text, NULL);
}

/* Fails the program as the API has answered with this status. */
static void fail_status(long status)
{
	char reason[64];

	(void)snprintf(reason, sizeof(reason), "HTTP %ld", status);
	ipcfs_amqp_api_fail(&api, -EHOSTDOWN, reason);
}

/* Tells the daemon of the queues that were gathered. */
static void flush(void)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_LISTED,
		.number = list.number,
		.body = list.size,
	};

	if (list.size)
		tell(&record, NULL, list.body);
	list.size = 0;
}

/* Gathers a queue. For ipcfs_amqp_api_page. */
static int gather(void *arg, const struct ipcfs_amqp_listed *queue)
{
	(void)arg;
	list.more = list.count == IPCFS_AMQP_LISTED_MAX;
	if (list.more)
		return 1;
	if (ipcfs_amqp_listed_add(list.body, &list.size, queue)) {
		flush();
		(void)ipcfs_amqp_listed_add(list.body, &list.size, queue); /* it is empty */
	}
	list.count++;
	return api.error ? 1 : 0;
}

/* Gets one page of the list. Returns how many there are. */
static uint64_t get_page(uint64_t number)
{
	uint64_t pages = 0;
	char more[128];
	long status;

	(void)snprintf(more, sizeof(more), "?page=%llu&page_size=%d&columns=" LIST_COLUMNS,
		       (unsigned long long)number, PAGE_QUEUES);
	status = ipcfs_amqp_api_get(&api, more);
	if (status == BAD_REQUEST && number > 1)
		return 0; /* there are fewer pages now */
	if (status && status != OK)
		fail_status(status);
	if (!api.error && ipcfs_amqp_api_page(api.answer, api.size, &pages, gather, NULL) < 0)
		ipcfs_amqp_api_fail(&api, -EHOSTDOWN, "the answer is no list of queues");
	return pages;
}

/* Answers LIST. */
static void tell_list(uint64_t number)
{
	time_t end = time(NULL) + LIST_S;
	uint64_t page = 1, pages = 1;

	list.number = number;
	list.size = list.count = 0;
	list.more = false;
	for (; page <= pages && !list.more && !api.error; page++) {
		pages = get_page(page);
		if (time(NULL) > end)
			ipcfs_amqp_api_fail(&api, -EHOSTDOWN, "the list takes too long");
	}
	flush();
	answer(number, 0, list.more ? "there are more queues than a list has" : "");
}

/* Answers DETAIL. */
static void tell_details(uint64_t number, const char *name, size_t size)
{
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_DETAILS, .number = number };
	char *escaped = ipcfs_amqp_api_escape(&api, name, size), *more = NULL;
	static char strings[IPCFS_AMQP_TEXT_MAX];
	long status = 0;

	if (escaped && asprintf(&more, "/%s?columns=" DETAIL_COLUMNS, escaped) >= 0)
		status = ipcfs_amqp_api_get(&api, more);
	else
		ipcfs_amqp_api_fail(&api, -ENOMEM, "no memory for a URL");
	if (status == NOT_FOUND)
		answer(number, -ENOENT, "");
	else if (status && status != OK)
		fail_status(status);
	else if (status && ipcfs_amqp_api_details(api.answer, api.size, strings, &record.text))
		ipcfs_amqp_api_fail(&api, -EHOSTDOWN, "the answer tells of no queue");
	else if (status)
		tell(&record, strings, NULL);
	free(more);
	curl_free(escaped);
}

/* Takes the first record, and gives up what is not needed any more. */
static void begin(void)
{
	const char *login[IPCFS_AMQP_API_STRINGS];
	int err;

	if (packet.record.type != IPCFS_AMQP_API ||
	    !ipcfs_amqp_strings(packet.bytes, packet.record.text, login, IPCFS_AMQP_API_STRINGS)) {
		ipcfs_amqp_api_fail(&api, -EPROTO, "the first record is malformed");
		return;
	}
	ipcfs_amqp_api_open(&api, login);
	err = api.error ? 0 : ipcfs_amqp_confine(0, true);
	if (err)
		ipcfs_amqp_api_fail(&api, err, "can't give up rights");
}

static void handle(const struct ipcfs_amqp_record *record)
{
	if (!api.queues)
		begin();
	else if (record->type == IPCFS_AMQP_LIST)
		tell_list(record->number);
	else if (record->type == IPCFS_AMQP_DETAIL)
		tell_details(record->number, packet.bytes, record->text);
	else
		ipcfs_amqp_api_fail(&api, -EPROTO, "a record of the daemon is wrong");
}

/* Waits for a record, and handles it. */
static void serve(void)
{
	struct pollfd source = { .fd = IPCFS_AMQP_SOCKET, .events = POLLIN };
	int got;

	if (poll(&source, 1, -1) < 0 && errno != EINTR)
		ipcfs_amqp_api_fail(&api, -errno, "poll failed");
	got = ipcfs_amqp_receive(IPCFS_AMQP_SOCKET, IPCFS_AMQP_FROM_DAEMON, &packet);
	if (got == 1)
		handle(&packet.record);
	else if (got == 0)
		ipcfs_amqp_api_fail(&api, -EPIPE, "the daemon has ended");
	else if (got != -EAGAIN)
		ipcfs_amqp_api_fail(&api, got, "a record of the daemon is wrong");
	ipcfs_descriptor_close(&packet.descriptor);
}

/* Says why the program ends; nobody listens if the daemon has. */
static void say_down(void)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_DOWN,
		.error = api.error,
		.text = (uint32_t)strlen(api.reason),
	};

	(void)ipcfs_amqp_send_daemon(&record, api.reason, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "api")) {
		(void)fputs("usage: ipcfs-amqp-api api; started by ipcfs\n", stderr);
		return EXIT_FAILURE;
	}
	packet.descriptor = -1;
	if (ipcfs_amqp_confine_early())
		ipcfs_amqp_api_fail(&api, -EIO, "can't give up rights");
	while (!api.error)
		serve();
	if (api.error == -EPIPE)
		return EXIT_SUCCESS;
	say_down();
	return EXIT_FAILURE;
}
