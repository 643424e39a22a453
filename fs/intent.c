/* SPDX-License-Identifier: MIT */
#include "intent.h"

#include <errno.h>
#include <string.h>

#include "number.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_separator(char c)
{
	return is_blank(c) || c == '\n' || c == ',';
}

/* Without blanks around it. */
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

	/* sizes have suffixes, these have none */
	if (size && (text[size - 1] < '0' || text[size - 1] > '9'))
		return -EINVAL;
	err = ipcfs_size_parse(text, size, max, &value);
	if (!err)
		*number = (uint32_t)value;
	return err;
}

int ipcfs_intent_amount(const char *bytes, size_t size, uint32_t max, uint32_t *amount)
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

int ipcfs_intent_value(const char *bytes, size_t size, uint32_t max, uint32_t *value)
{
	if (size && bytes[size - 1] == '\n')
		size--;
	trim(&bytes, &size);
	return parse_number(bytes, size, max, value);
}

int ipcfs_intent_values(const char *bytes, size_t size, uint32_t max, struct ipcfs_text *values)
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

/* NUMBER:DELTA */
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

int ipcfs_intent_ops(const char *bytes, size_t size, struct ipcfs_text *ops)
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
