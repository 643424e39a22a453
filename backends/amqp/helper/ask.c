/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 10, LOOK_CHANNEL = 1, CHANGE_CHANNEL };

struct ipcfs_amqp_question {
	struct ipcfs_amqp_question *next;
	enum ipcfs_amqp_type type;
	uint64_t number; /* of the daemon; or of a PUT */
	uint32_t queue;	 /* of this program, which asks itself; 0: the daemon asks */
	amqp_bytes_t name;
	uint32_t size;
	char text[];
};

static void answer(struct ipcfs_amqp_helper *helper, uint64_t number,
		   const struct ipcfs_amqp_outcome *outcome)
{
	char line[IPCFS_AMQP_REASON_SIZE];
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_ANSWER,
		.number = number,
		.error = outcome->error,
		.text = ipcfs_amqp_printable(outcome->text, line, sizeof(line)),
		.messages = outcome->state ? outcome->state->message_count : 0,
		.readers = outcome->state ? outcome->state->consumer_count : 0,
	};

	ipcfs_amqp_tell(helper, &record, line, NULL);
}

static void declare(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_asker *asker,
		    amqp_table_t arguments, bool passive)
{
	amqp_queue_declare_t method = {
		.queue = asker->first->name,
		.passive = passive,
		.durable = true,
		.arguments = arguments,
	};

	ipcfs_amqp_method(helper, asker->channel, AMQP_QUEUE_DECLARE_METHOD, &method);
}

/* Asks whether the queue of the first question exists, which all questions begin with. */
static void ask_first(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_asker *asker)
{
	asker->making = false;
	if (asker->first)
		declare(helper, asker, amqp_empty_table, true);
}

/* Ends the first question, and asks the next one. */
static void end_first(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_asker *asker,
		      const struct ipcfs_amqp_outcome *outcome)
{
	struct ipcfs_amqp_question *question = asker->first;

	asker->first = question->next;
	if (!asker->first)
		asker->end = &asker->first;
	if (question->queue)
		helper->looked(helper, question->queue, question->number, outcome);
	else
		answer(helper, question->number, outcome);
	free(question);
	ask_first(helper, asker);
}

static void enqueue(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_question *question)
{
	struct ipcfs_amqp_asker *asker = question->type == IPCFS_AMQP_LOOK ? &helper->look
									   : &helper->change;

	*asker->end = question;
	asker->end = &question->next;
	if (asker->first == question)
		ask_first(helper, asker);
}

/* Returns a new question with a copy of the text; NULL: there is no memory, and the helper ends. */
static struct ipcfs_amqp_question *question_new(struct ipcfs_amqp_helper *helper, const char *text,
						size_t size)
{
	struct ipcfs_amqp_question *question = calloc(1, sizeof(*question) + size);

	if (!question) {
		ipcfs_amqp_fail(helper, -ENOMEM, "no memory for a question");
		return NULL;
	}
	memcpy(question->text, text, size);
	question->size = (uint32_t)size;
	question->name = (amqp_bytes_t){ size, question->text };
	return question;
}

/* Takes the name of a queue to be made. Returns false if the text is malformed. */
static bool take_name(struct ipcfs_amqp_question *question)
{
	const char *strings[IPCFS_AMQP_MAKE_STRINGS];
	const char *type;
	size_t size;

	if (!ipcfs_amqp_strings(question->text, question->size, strings, IPCFS_AMQP_MAKE_STRINGS))
		return false;
	type = strings[IPCFS_AMQP_MAKE_TYPE];
	size = strlen(strings[IPCFS_AMQP_MAKE_QUEUE]);
	question->name = (amqp_bytes_t){ size, (void *)strings[IPCFS_AMQP_MAKE_QUEUE] };
	return size && size <= IPCFS_AMQP_NAME_MAX &&
	       (!strcmp(type, "quorum") || !strcmp(type, "classic"));
}

void ipcfs_amqp_ask(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_packet *packet)
{
	const struct ipcfs_amqp_outcome malformed = { .error = -EINVAL };
	struct ipcfs_amqp_question *question = question_new(helper, packet->bytes,
							    packet->record.text);

	if (!question)
		return;
	question->type = packet->record.type;
	question->number = packet->record.number;
	if (question->type != IPCFS_AMQP_MAKE || take_name(question)) {
		enqueue(helper, question);
		return;
	}
	answer(helper, question->number, &malformed);
	free(question);
}

void ipcfs_amqp_ask_self(struct ipcfs_amqp_helper *helper, amqp_bytes_t name, uint32_t queue,
			 uint64_t put)
{
	struct ipcfs_amqp_question *question = question_new(helper, name.bytes, name.len);

	if (!question)
		return;
	question->type = IPCFS_AMQP_LOOK;
	question->queue = queue;
	question->number = put;
	enqueue(helper, question);
}

static void add_string(amqp_table_t *table, const char *key, const char *value)
{
	table->entries[table->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(key),
		.value = { .kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value) },
	};
}

/* Adds a number, unless it is "". Returns false if it is none, or is less than `least`. */
static bool add_number(amqp_table_t *table, const char *key, const char *value, int64_t least)
{
	char *end;
	int64_t number;

	if (!*value)
		return true;
	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno || *end || number < least)
		return false;
	table->entries[table->num_entries++] = (amqp_table_entry_t){
		.key = amqp_cstring_bytes(key),
		.value = { .kind = AMQP_FIELD_KIND_I64, .value.i64 = number },
	};
	return true;
}

/* Fills the table with the arguments of a declaration. Returns false if a string is malformed. */
static bool add_arguments(amqp_table_t *table, const char *const *strings)
{
	const char *dead = strings[IPCFS_AMQP_MAKE_DEAD];

	add_string(table, "x-queue-type", strings[IPCFS_AMQP_MAKE_TYPE]);
	if (*strings[IPCFS_AMQP_MAKE_MAXLEN] || *strings[IPCFS_AMQP_MAKE_MAXBYTES])
		add_string(table, "x-overflow", "reject-publish");
	if (*dead) {
		add_string(table, "x-dead-letter-exchange", "");
		add_string(table, "x-dead-letter-routing-key", dead);
	}
	return strlen(dead) <= IPCFS_AMQP_NAME_MAX &&
	       add_number(table, "x-max-length", strings[IPCFS_AMQP_MAKE_MAXLEN], 0) &&
	       add_number(table, "x-max-length-bytes", strings[IPCFS_AMQP_MAKE_MAXBYTES], 0) &&
	       add_number(table, "x-message-ttl", strings[IPCFS_AMQP_MAKE_TTL], 0) &&
	       add_number(table, "x-delivery-limit", strings[IPCFS_AMQP_MAKE_REDELIVER], 0) &&
	       add_number(table, "x-max-priority", strings[IPCFS_AMQP_MAKE_PRIO], 1);
}

/* Makes the queue of the first question, which does not exist. */
static void make(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_asker *asker)
{
	const struct ipcfs_amqp_outcome malformed = { .error = -EINVAL };
	const struct ipcfs_amqp_question *question = asker->first;
	const char *strings[IPCFS_AMQP_MAKE_STRINGS];
	amqp_table_entry_t entries[ARGUMENTS_MAX];
	amqp_table_t table = { .entries = entries };

	if (ipcfs_amqp_strings(question->text, question->size, strings, IPCFS_AMQP_MAKE_STRINGS) &&
	    add_arguments(&table, strings)) {
		asker->making = true;
		declare(helper, asker, table, false);
		return;
	}
	end_first(helper, asker, &malformed);
}

static void declared(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_asker *asker,
		     const amqp_queue_declare_ok_t *state)
{
	const struct ipcfs_amqp_question *question = asker->first;
	struct ipcfs_amqp_outcome outcome = { .error = 0 };
	amqp_queue_delete_t method = { .queue = question->name };

	if (question->type == IPCFS_AMQP_REMOVE) {
		asker->making = true;
		ipcfs_amqp_method(helper, asker->channel, AMQP_QUEUE_DELETE_METHOD, &method);
		return;
	}
	if (question->type == IPCFS_AMQP_LOOK)
		outcome.state = state;
	else if (!asker->making)
		outcome.error = -EEXIST;
	end_first(helper, asker, &outcome);
}

static void refused(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_asker *asker,
		    const amqp_channel_close_t *close)
{
	struct ipcfs_amqp_outcome outcome = {
		.error = ipcfs_amqp_reply_error(close->reply_code, close->reply_text),
		.text = close->reply_text,
	};

	ipcfs_amqp_channel_closed(helper, asker->channel);
	ipcfs_amqp_channel_open(helper, asker->channel);
	if (asker->first->type == IPCFS_AMQP_MAKE && !asker->making && outcome.error == -ENOENT)
		make(helper, asker);
	else
		end_first(helper, asker, &outcome);
}

void ipcfs_amqp_ask_method(struct ipcfs_amqp_helper *helper, amqp_channel_t channel,
			   const amqp_method_t *method)
{
	struct ipcfs_amqp_asker *asker = channel == LOOK_CHANNEL ? &helper->look : &helper->change;
	const struct ipcfs_amqp_outcome done = { .error = 0 };

	if (method->id == AMQP_CHANNEL_OPEN_OK_METHOD)
		return;
	if (!asker->first)
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker answers what was not asked");
	else if (method->id == AMQP_QUEUE_DECLARE_OK_METHOD)
		declared(helper, asker, method->decoded);
	else if (method->id == AMQP_QUEUE_DELETE_OK_METHOD)
		end_first(helper, asker, &done);
	else if (method->id == AMQP_CHANNEL_CLOSE_METHOD)
		refused(helper, asker, method->decoded);
	else
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker answers another question");
}

void ipcfs_amqp_ask_start(struct ipcfs_amqp_helper *helper, ipcfs_amqp_looked *looked)
{
	helper->looked = looked;
	helper->look.channel = LOOK_CHANNEL;
	helper->change.channel = CHANGE_CHANNEL;
	helper->look.end = &helper->look.first;
	helper->change.end = &helper->change.first;
	ipcfs_amqp_channel_open(helper, LOOK_CHANNEL);
	ipcfs_amqp_channel_open(helper, CHANGE_CHANNEL);
}
