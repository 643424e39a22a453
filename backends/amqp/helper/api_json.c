/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/api_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "backends/amqp/helper/process.h"

enum {
	DEPTH = 16,	      /* of objects in each other */
	ARGUMENTS_MAX = 2048, /* bytes; longer ones are not told */
	MEMBERS_SIZE = 2048,
	LEADER_SIZE = 256,
	TYPE_SIZE = 64,
};

/* Parses a whole text. Returns an object, to be put; NULL: it is none. */
static json_object *parse(const char *text, size_t size)
{
	json_tokener *tokener = json_tokener_new_ex(DEPTH);
	json_object *parsed = NULL;

	if (!tokener)
		return NULL;
	if (size <= INT32_MAX)
		parsed = json_tokener_parse_ex(tokener, text, (int)size);
	if (parsed && (json_tokener_get_error(tokener) != json_tokener_success ||
		       !json_object_is_type(parsed, json_type_object))) {
		json_object_put(parsed);
		parsed = NULL;
	}
	json_tokener_free(tokener);
	return parsed;
}

/* Returns a number; 0: there is none. The statistics of a new queue are missing. */
static uint64_t number_of(const json_object *object, const char *name)
{
	json_object *value;
	int64_t number = 0;

	if (json_object_object_get_ex(object, name, &value) &&
	    json_object_is_type(value, json_type_int))
		number = json_object_get_int64(value);
	return number > 0 ? (uint64_t)number : 0;
}

/* Copies a string, which may have any bytes but NUL. False: there is none, or it has no room. */
static bool copy_string(json_object *value, char *string, size_t capacity)
{
	size_t size;

	if (!json_object_is_type(value, json_type_string))
		return false;
	size = (size_t)json_object_get_string_len(value);
	if (!size || size >= capacity || memchr(json_object_get_string(value), '\0', size))
		return false;
	memcpy(string, json_object_get_string(value), size);
	string[size] = '\0';
	return true;
}

/* The same for a string of an object. *string is "" where there is none. */
static bool string_of(const json_object *object, const char *name, char *string, size_t capacity)
{
	json_object *value;

	string[0] = '\0';
	return json_object_object_get_ex(object, name, &value) &&
	       copy_string(value, string, capacity);
}

int ipcfs_amqp_api_page(const char *text, size_t size, uint64_t *pages,
			int (*each)(void *arg, const struct ipcfs_amqp_listed *queue), void *arg)
{
	json_object *page = parse(text, size), *items = NULL;
	struct ipcfs_amqp_listed queue;
	int err = 0;

	if (!page || !json_object_object_get_ex(page, "items", &items) ||
	    !json_object_is_type(items, json_type_array))
		err = -EPROTO;
	for (size_t i = 0; !err && i < json_object_array_length(items); i++) {
		const json_object *item = json_object_array_get_idx(items, i);

		if (!json_object_is_type(item, json_type_object) ||
		    !string_of(item, "name", queue.name, sizeof(queue.name)))
			continue;
		queue.messages = number_of(item, "messages_ready");
		queue.bytes = number_of(item, "message_bytes");
		err = each(arg, &queue);
	}
	*pages = page ? number_of(page, "page_count") : 0;
	json_object_put(page);
	return err;
}

/* Writes the names of nodes that are in an array, with blanks between. */
static void join(const json_object *queue, const char *name, char members[MEMBERS_SIZE])
{
	json_object *array, *one;
	char member[LEADER_SIZE];
	size_t size = 0;

	members[0] = '\0';
	if (!json_object_object_get_ex(queue, name, &array) ||
	    !json_object_is_type(array, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		one = json_object_array_get_idx(array, i);
		if (copy_string(one, member, sizeof(member)) &&
		    size + strlen(member) + 2 <= MEMBERS_SIZE)
			size += (size_t)snprintf(members + size, MEMBERS_SIZE - size, "%s%s",
						 size ? " " : "", member);
	}
}

/* Returns the arguments as JSON, which lives as long as the queue. */
static const char *arguments_of(const json_object *queue)
{
	json_object *arguments;
	const char *text;

	if (!json_object_object_get_ex(queue, "arguments", &arguments) ||
	    !json_object_is_type(arguments, json_type_object))
		return "{}";
	text = json_object_to_json_string_ext(arguments, JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE);
	return text && strlen(text) <= ARGUMENTS_MAX ? text : "(too long)";
}

static int add_details(const json_object *queue, char *strings, uint32_t *used)
{
	char type[TYPE_SIZE], unacked[24], bytes[24], leader[LEADER_SIZE], members[MEMBERS_SIZE];
	const char *details[IPCFS_AMQP_DETAILS_STRINGS] = {
		[IPCFS_AMQP_DETAILS_TYPE] = type,
		[IPCFS_AMQP_DETAILS_UNACKED] = unacked,
		[IPCFS_AMQP_DETAILS_BYTES] = bytes,
		[IPCFS_AMQP_DETAILS_LEADER] = leader,
		[IPCFS_AMQP_DETAILS_MEMBERS] = members,
		[IPCFS_AMQP_DETAILS_ARGUMENTS] = arguments_of(queue),
	};
	int err = 0;

	(void)snprintf(unacked, sizeof(unacked), "%llu",
		       (unsigned long long)number_of(queue, "messages_unacknowledged"));
	(void)snprintf(bytes, sizeof(bytes), "%llu",
		       (unsigned long long)number_of(queue, "message_bytes"));
	(void)string_of(queue, "type", type, sizeof(type));
	join(queue, "members", members);
	/* a classic queue has neither, and is on one node */
	if (!string_of(queue, "leader", leader, sizeof(leader)))
		(void)string_of(queue, "node", leader, sizeof(leader));
	if (!*members)
		details[IPCFS_AMQP_DETAILS_MEMBERS] = leader;
	for (size_t i = 0; !err && i < IPCFS_AMQP_DETAILS_STRINGS; i++) {
		char line[IPCFS_AMQP_TEXT_MAX / IPCFS_AMQP_DETAILS_STRINGS];

		(void)ipcfs_amqp_to_printable(details[i], strlen(details[i]), line, sizeof(line));
		err = ipcfs_amqp_string_add(strings, used, line);
	}
	return err;
}

int ipcfs_amqp_api_details(const char *text, size_t size, char strings[IPCFS_AMQP_TEXT_MAX],
			   uint32_t *used)
{
	json_object *queue = parse(text, size), *name;
	int err = -EPROTO;

	if (queue && json_object_object_get_ex(queue, "name", &name))
		err = add_details(queue, strings, used);
	json_object_put(queue);
	return err;
}
