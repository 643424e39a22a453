/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/text.h"

#define TEXT_SIZE_MIN 64

static const char plain_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz"
				  "0123456789_./:+-";

size_t ipcfs_text_grown(const struct ipcfs_text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : TEXT_SIZE_MIN;

	if (text->capacity - text->size >= more)
		return text->capacity;
	if (more > SIZE_MAX / 2 - text->size)
		return SIZE_MAX;
	while (capacity < text->size + more)
		capacity *= 2;
	return capacity;
}

int ipcfs_text_reserve(struct ipcfs_text *text, size_t more)
{
	size_t capacity = ipcfs_text_grown(text, more);
	char *data;

	if (capacity == text->capacity)
		return 0;
	if (capacity == SIZE_MAX)
		return -ENOMEM;

	/* realloc(3) could leave a copy of the bytes behind in freed memory. */
	data = malloc(capacity);
	if (!data)
		return -ENOMEM;
	if (text->data) {
		memcpy(data, text->data, text->size);
		explicit_bzero(text->data, text->size);
		free(text->data);
	}
	text->data = data;
	text->capacity = capacity;
	return 0;
}

int ipcfs_text_add(struct ipcfs_text *text, const void *bytes, size_t size)
{
	int error = ipcfs_text_reserve(text, size);

	if (error)
		return error;
	if (size)
		memcpy(text->data + text->size, bytes, size);
	text->size += size;
	return 0;
}

int ipcfs_text_printf(struct ipcfs_text *text, const char *format, ...)
{
	va_list arguments;
	int length, error;

	va_start(arguments, format);
	length = vsnprintf(text->data ? text->data + text->size : NULL, text->capacity - text->size,
			   format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	if ((size_t)length < text->capacity - text->size) {
		text->size += (size_t)length;
		return 0;
	}

	error = ipcfs_text_reserve(text, (size_t)length + 1);
	if (error)
		return error;
	va_start(arguments, format);
	length = vsnprintf(text->data + text->size, (size_t)length + 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -ENOMEM;
	text->size += (size_t)length;
	return 0;
}

static int add_quoted(struct ipcfs_text *text, const char *value)
{
	int error = ipcfs_text_add(text, "'", 1);

	while (!error && *value) {
		size_t run = strcspn(value, "'");

		error = ipcfs_text_add(text, value, run);
		value += run;
		if (!error && *value) {
			error = ipcfs_text_add(text, "'\\''", 4);
			value++;
		}
	}
	return error ? error : ipcfs_text_add(text, "'", 1);
}

int ipcfs_text_pair(struct ipcfs_text *text, const char *key, const char *value)
{
	size_t start = text->size;
	int error = ipcfs_text_printf(text, "%s=", key);

	if (!error) {
		if (value[strspn(value, plain_bytes)])
			error = add_quoted(text, value);
		else
			error = ipcfs_text_add(text, value, strlen(value));
	}
	if (!error)
		error = ipcfs_text_add(text, "\n", 1);
	if (error)
		ipcfs_text_cut(text, start);
	return error;
}

void ipcfs_text_drop(struct ipcfs_text *text, size_t size)
{
	size_t rest;

	if (size > text->size)
		size = text->size;
	if (!size)
		return;
	rest = text->size - size;
	memmove(text->data, text->data + size, rest);
	explicit_bzero(text->data + rest, size);
	text->size = rest;
}

void ipcfs_text_cut(struct ipcfs_text *text, size_t size)
{
	if (size >= text->size)
		return;
	explicit_bzero(text->data + size, text->size - size);
	text->size = size;
}

void ipcfs_text_free(struct ipcfs_text *text)
{
	if (text->data) {
		explicit_bzero(text->data, text->size);
		free(text->data);
	}
	*text = (struct ipcfs_text){ 0 };
}
