/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/properties.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Text that is written; `full`: the line does not fit. */
struct writer {
	char *text;
	uint32_t size, capacity;
	bool full;
};

static void add(struct writer *writer, const char *bytes, size_t size)
{
	if (writer->full || size > writer->capacity - writer->size) {
		writer->full = true;
		return;
	}
	memcpy(writer->text + writer->size, bytes, size);
	writer->size += (uint32_t)size;
}

static void add_escaped(struct writer *writer, amqp_bytes_t bytes, bool is_name)
{
	const unsigned char *from = bytes.bytes;
	char escaped[8];

	for (size_t i = 0; i < bytes.len && !writer->full; i++) {
		bool plain = from[i] >= ' ' && from[i] <= '~' && from[i] != '\\';

		if (plain && !(is_name && from[i] == '=')) {
			add(writer, (const char *)&from[i], 1);
		} else {
			(void)snprintf(escaped, sizeof(escaped), "\\%03o", from[i]);
			add(writer, escaped, 4);
		}
	}
}

static void add_line(struct writer *writer, const char *prefix, amqp_bytes_t name,
		     amqp_bytes_t value)
{
	uint32_t start = writer->size;

	writer->full = false;
	add(writer, prefix, strlen(prefix));
	add_escaped(writer, name, true);
	add(writer, "=", 1);
	add_escaped(writer, value, false);
	add(writer, "\n", 1);
	if (writer->full)
		writer->size = start;
}

static void add_number(struct writer *writer, const char *prefix, amqp_bytes_t name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	add_line(writer, prefix, name, amqp_cstring_bytes(text));
}

static void add_header(struct writer *writer, const amqp_table_entry_t *entry)
{
	const amqp_field_value_t *value = &entry->value;

	switch (value->kind) {
	case AMQP_FIELD_KIND_BOOLEAN:
		add_line(writer, "header.", entry->key,
			 amqp_cstring_bytes(value->value.boolean ? "true" : "false"));
		break;
	case AMQP_FIELD_KIND_I8:
		add_number(writer, "header.", entry->key, value->value.i8);
		break;
	case AMQP_FIELD_KIND_U8:
		add_number(writer, "header.", entry->key, value->value.u8);
		break;
	case AMQP_FIELD_KIND_I16:
		add_number(writer, "header.", entry->key, value->value.i16);
		break;
	case AMQP_FIELD_KIND_U16:
		add_number(writer, "header.", entry->key, value->value.u16);
		break;
	case AMQP_FIELD_KIND_I32:
		add_number(writer, "header.", entry->key, value->value.i32);
		break;
	case AMQP_FIELD_KIND_U32:
		add_number(writer, "header.", entry->key, value->value.u32);
		break;
	case AMQP_FIELD_KIND_I64:
		add_number(writer, "header.", entry->key, value->value.i64);
		break;
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		add_line(writer, "header.", entry->key, value->value.bytes);
		break;
	default:
		break;
	}
}

uint32_t ipcfs_amqp_properties(const amqp_basic_properties_t *properties, char *text,
			       uint32_t capacity)
{
	const struct {
		const char *name;
		amqp_flags_t flag;
		amqp_bytes_t value;
	} texts[] = {
		{ "message_id", AMQP_BASIC_MESSAGE_ID_FLAG, properties->message_id },
		{ "correlation_id", AMQP_BASIC_CORRELATION_ID_FLAG, properties->correlation_id },
		{ "reply_to", AMQP_BASIC_REPLY_TO_FLAG, properties->reply_to },
		{ "type", AMQP_BASIC_TYPE_FLAG, properties->type },
		{ "content_type", AMQP_BASIC_CONTENT_TYPE_FLAG, properties->content_type },
		{ "content_encoding", AMQP_BASIC_CONTENT_ENCODING_FLAG,
		  properties->content_encoding },
		{ "expiration", AMQP_BASIC_EXPIRATION_FLAG, properties->expiration },
		{ "user_id", AMQP_BASIC_USER_ID_FLAG, properties->user_id },
		{ "app_id", AMQP_BASIC_APP_ID_FLAG, properties->app_id },
	};
	struct writer writer = { .text = text, .capacity = capacity };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (properties->_flags & texts[i].flag)
			add_line(&writer, texts[i].name, amqp_empty_bytes, texts[i].value);
	}
	if (properties->_flags & AMQP_BASIC_TIMESTAMP_FLAG)
		add_number(&writer, "timestamp", amqp_empty_bytes, (int64_t)properties->timestamp);
	for (int i = 0;
	     properties->_flags & AMQP_BASIC_HEADERS_FLAG && i < properties->headers.num_entries;
	     i++)
		add_header(&writer, &properties->headers.entries[i]);
	return writer.size;
}
