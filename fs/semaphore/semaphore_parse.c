/* SPDX-License-Identifier: MIT */
#include "fs/semaphore/semaphore_parse.h"

#include <errno.h>
#include <string.h>

#include "fs/base/number.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_separator(char c)
{
	return is_blank(c) || c == '\n' || c == ',';
}

/* Takes the blanks off both ends of *text, *size bytes. */
static void trim(const char **text, size_t *size)
{
	while (*size && is_blank(**text)) {
		(*text)++;
		(*size)--;
	}
	while (*size && is_blank((*text)[*size - 1]))
		(*size)--;
}

static int parse_number(const char *text, size_t size, uint64_t max, uint32_t *number)
{
	uint64_t value;
	int err;

	/* ipcfs_size_parse allows a suffix (K, M, G). These numbers have none. */
	if (size && (text[size - 1] < '0' || text[size - 1] > '9'))
		return -EINVAL;
	err = ipcfs_size_parse(text, size, max, &value);
	if (!err)
		*number = (uint32_t)value;
	return err;
}

int ipcfs_semaphore_parse_amount(const char *bytes, size_t size, uint32_t max, uint32_t *amount)
{
	uint64_t sum = 0;

	while (size > 0) {
		const char *end = memchr(bytes, '\n', size);
		size_t length = end ? (size_t)(end - bytes) : size;
		const char *line = bytes;
		size_t left = length;
		uint32_t number = 1;
		int err = 0;

		trim(&line, &left);
		if (left > 0)
			err = parse_number(line, left, UINT32_MAX, &number);
		if (err)
			return err;
		if (number == 0)
			return -ERANGE;
		sum += number;
		bytes += length + (end != NULL);
		size -= length + (end != NULL);
	}
	if (sum == 0 || sum > max)
		return -ERANGE;
	*amount = (uint32_t)sum;
	return 0;
}

int ipcfs_semaphore_parse_value(const char *bytes, size_t size, uint32_t max, uint32_t *value)
{
	if (size && bytes[size - 1] == '\n')
		size--;
	trim(&bytes, &size);
	return parse_number(bytes, size, max, value);
}

int ipcfs_semaphore_parse_values(const char *bytes, size_t size, uint32_t max,
				 struct ipcfs_text *values)
{
	size_t at = 0;

	while (at < size) {
		size_t start = at;
		uint32_t value;
		int err;

		if (is_separator(bytes[at])) {
			at++;
			continue;
		}
		while (at < size && !is_separator(bytes[at]))
			at++;
		err = parse_number(bytes + start, at - start, max, &value);
		if (!err)
			err = ipcfs_text_add(values, &value, sizeof(value));
		if (err)
			return err;
	}
	return 0;
}

/* Parses one NUMBER:DELTA. Errors as ipcfs_semaphore_parse_ops. */
static int parse_op(const char *text, size_t size, struct ipcfs_semaphore_op *op)
{
	const char *colon = memchr(text, ':', size);
	size_t length = colon ? (size_t)(colon - text) : 0;
	bool negative;
	uint32_t delta;
	int err;

	if (!colon)
		return -EINVAL;
	err = parse_number(text, length, UINT32_MAX, &op->number);
	if (err)
		return err == -ERANGE ? -EFBIG : err;
	text += length + 1;
	size -= length + 1;
	negative = size && *text == '-';
	if (negative || (size && *text == '+')) {
		text++;
		size--;
	}
	err = parse_number(text, size, INT32_MAX, &delta);
	if (!err)
		op->delta = negative ? -(int32_t)delta : (int32_t)delta;
	return err;
}

int ipcfs_semaphore_parse_ops(const char *bytes, size_t size, struct ipcfs_text *ops)
{
	size_t at = 0;

	if (size && bytes[size - 1] == '\n')
		size--;
	while (at < size) {
		struct ipcfs_semaphore_op op;
		size_t start = at;
		int err;

		if (is_blank(bytes[at])) {
			at++;
			continue;
		}
		while (at < size && !is_blank(bytes[at]))
			at++;
		err = parse_op(bytes + start, at - start, &op);
		if (!err)
			err = ipcfs_text_add(ops, &op, sizeof(op));
		if (err)
			return err;
	}
	return ops->size ? 0 : -EINVAL;
}

static bool is_word(const char *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Takes the first word off *text, *size bytes. Returns its size, 0 at the end. */
static size_t take_word(const char **text, size_t *size, const char **word)
{
	size_t length = 0;

	trim(text, size);
	*word = *text;
	while (length < *size && !is_blank((*text)[length]))
		length++;
	*text += length;
	*size -= length;
	return length;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Copies the name of a condition. Returns whether it is one. */
static bool copy_condition(const char *text, size_t size, char condition[IPCFS_CONDITION_SIZE])
{
	if (size == 0 || size >= IPCFS_CONDITION_SIZE || !is_letter(text[0]))
		return false;
	for (size_t i = 0; i < size; i++)
		if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '.' && text[i] != '-')
			return false;
	memcpy(condition, text, size);
	condition[size] = '\0';
	return true;
}

/* Parses the number of waiters to notify. Errors as ipcfs_semaphore_parse_verb. */
static int parse_count(const char *text, size_t size, uint32_t *count)
{
	int err = parse_number(text, size, UINT32_MAX, count);

	return err || *count ? err : -ERANGE;
}

/* Each verb, and how many words may follow it. */
static const struct {
	const char *word;
	bool has_condition, has_count;
} verbs[] = {
	[IPCFS_MONITOR_WAIT] = { "wait", true, false },
	[IPCFS_MONITOR_NOTIFY] = { "notify", true, true },
	[IPCFS_MONITOR_BROADCAST] = { "broadcast", true, false },
	[IPCFS_MONITOR_LEAVE] = { "leave", false, false },
	[IPCFS_MONITOR_ENTER] = { "enter", false, false },
};

/* Parses the words behind the verb. Errors as ipcfs_semaphore_parse_verb. */
static int parse_words(const char *text, size_t size, struct ipcfs_monitor_request *request)
{
	const char *word;
	size_t length = take_word(&text, &size, &word);
	int err = 0;

	if (length && verbs[request->verb].has_condition && !is_digit(*word)) {
		if (!copy_condition(word, length, request->condition))
			return -EINVAL;
		length = take_word(&text, &size, &word);
	}
	if (length && verbs[request->verb].has_count) {
		err = parse_count(word, length, &request->count);
		length = take_word(&text, &size, &word);
	}
	return length ? -EINVAL : err;
}

int ipcfs_semaphore_parse_verb(const char *bytes, size_t size,
			       struct ipcfs_monitor_request *request)
{
	const char *word;
	size_t length;

	if (size && bytes[size - 1] == '\n')
		size--;
	length = take_word(&bytes, &size, &word);
	*request = (struct ipcfs_monitor_request){ .count = 1 };
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!is_word(word, length, verbs[i].word))
			continue;
		request->verb = (enum ipcfs_monitor_verb)i;
		return parse_words(bytes, size, request);
	}
	return -EINVAL;
}
