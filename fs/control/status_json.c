/* SPDX-License-Identifier: MIT */
#include "fs/control/status_json.h"

#include <string.h>

#include "fs/control/status_idmap.h"

/* A line of status. */
struct field {
	const char *key;
	size_t key_size;
	const char *raw; /* the value as it stands there, perhaps quoted */
	size_t raw_size;
};

/*
 * Returns the number of bytes of the UTF-8 character at the start of the text. 0: there is none.
 * See RFC 3629.
 */
static size_t character_size(const unsigned char *text, size_t size)
{
	static const struct {
		unsigned char first, last, low, high; /* the first byte; the second one */
		size_t size;
	} forms[] = {
		{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t form = 0;

	while (form < sizeof(forms) / sizeof(*forms) &&
	       (text[0] < forms[form].first || text[0] > forms[form].last))
		form++;
	if (form == sizeof(forms) / sizeof(*forms) || forms[form].size > size)
		return 0;
	if (forms[form].size > 1 && (text[1] < forms[form].low || text[1] > forms[form].high))
		return 0;
	for (size_t i = 2; i < forms[form].size; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return forms[form].size;
}

/* Appends one character, or a byte that belongs to none. Returns -ENOMEM, or 0. */
static int add_character(struct ipcfs_text *out, const char *bytes, size_t size)
{
	unsigned char byte = (unsigned char)*bytes;

	if (byte == '"' || byte == '\\')
		return ipcfs_text_printf(out, "\\%c", byte);
	if (!size || byte < 0x20 || byte == 0x7f)
		return ipcfs_text_printf(out, "\\u%04x", byte);
	return ipcfs_text_add(out, bytes, size);
}

/* Appends a string with its quotes. *is_text: it is UTF-8. */
static int add_string(struct ipcfs_text *out, const char *bytes, size_t size, bool *is_text)
{
	int err = ipcfs_text_add(out, "\"", 1);

	*is_text = true;
	for (size_t at = 0, step; !err && at < size; at += step ? step : 1) {
		step = character_size((const unsigned char *)bytes + at, size - at);
		*is_text &= step != 0;
		err = add_character(out, bytes + at, step);
	}
	return err ? err : ipcfs_text_add(out, "\"", 1);
}

/* Appends the field KEY_hex. */
static int add_hex(struct ipcfs_text *out, const struct field *field,
		   const struct ipcfs_text *value)
{
	int err = ipcfs_text_printf(out, ",\"%.*s_hex\":\"", (int)field->key_size, field->key);

	for (size_t i = 0; !err && i < value->size; i++)
		err = ipcfs_text_printf(out, "%02x", (unsigned char)value->data[i]);
	return err ? err : ipcfs_text_add(out, "\"", 1);
}

/* Appends the value without the quotes of the shell. -ENOMEM. */
static int unquote(const struct field *field, struct ipcfs_text *out)
{
	bool quoted = false;
	int err = 0;

	for (size_t i = 0; !err && i < field->raw_size; i++) {
		if (field->raw[i] == '\'') {
			quoted = !quoted;
			continue;
		}
		if (field->raw[i] == '\\' && !quoted && i + 1 < field->raw_size)
			i++;
		err = ipcfs_text_add(out, field->raw + i, 1);
	}
	return err;
}

/* Tells whether the value is a JSON number; -0, and a number with zeros before it, are none. */
static bool is_number(const struct field *field)
{
	const char *digits = field->raw;
	size_t size = field->raw_size;

	if (size && *digits == '-') {
		digits++;
		size--;
		if (size && *digits == '0')
			return false;
	}
	if (!size || (*digits == '0' && size > 1))
		return false;
	for (size_t i = 0; i < size; i++)
		if (digits[i] < '0' || digits[i] > '9')
			return false;
	return true;
}

static bool is_key(const struct field *field, const char *key)
{
	return field->key_size == strlen(key) && !memcmp(field->key, key, field->key_size);
}

static int add_value(struct ipcfs_text *out, const struct field *field)
{
	struct ipcfs_text value = { 0 };
	bool is_text = true;
	int err;

	if (is_number(field) && !is_key(field, "name") && !is_key(field, "class"))
		return ipcfs_text_add(out, field->raw, field->raw_size);
	err = unquote(field, &value);
	if (!err)
		err = add_string(out, value.data, value.size, &is_text);
	if (!err && !is_text)
		err = add_hex(out, field, &value);
	ipcfs_text_free(&value);
	return err;
}

/* Appends a line as a field, after a comma unless it is the first. */
static int add_field(struct ipcfs_text *out, const char *line, size_t size, bool first)
{
	const char *equals = memchr(line, '=', size);
	struct field field = { .key = line };
	int err;

	if (!equals)
		return 0; /* no line of status */
	field.key_size = (size_t)(equals - line);
	field.raw = equals + 1;
	field.raw_size = size - field.key_size - 1;
	err = ipcfs_text_printf(out, "%s\"%.*s\":", first ? "{" : ",", (int)field.key_size, line);
	return err ? err : add_value(out, &field);
}

int ipcfs_status_json(const struct ipcfs_text *status, struct ipcfs_text *out)
{
	size_t start = out->size, at = 0;
	int err = 0;

	while (!err && at < status->size) {
		const char *line = status->data + at;
		size_t size = ipcfs_status_line_size(line, status->size - at);

		at += size;
		size -= line[size - 1] == '\n';
		err = add_field(out, line, size, out->size == start);
	}
	if (!err)
		err = ipcfs_text_printf(out, "%s}\n", out->size == start ? "{" : "");
	if (err)
		ipcfs_text_cut(out, start);
	return err;
}
