/* SPDX-License-Identifier: MIT */
/* Any name, and any lines, as JSON: one line without control characters, and the name comes back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/control/status_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Asserts that the text is one line, with an even number of quotes that are not escaped. */
static void is_line(const struct ipcfs_text *text)
{
	bool inside = false;

	require(text->size >= 3 && text->data[0] == '{');
	require(!memcmp(text->data + text->size - 2, "}\n", 2));
	for (size_t i = 0; i < text->size - 1; i++) {
		require((unsigned char)text->data[i] >= 0x20);
		if (inside && text->data[i] == '\\')
			i++;
		else if (text->data[i] == '"')
			inside = !inside;
	}
	require(!inside);
}

static unsigned hex_digit(char digit)
{
	return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a') + 10;
}

/* Asserts that the string behind the first colon is the name; returns its end. */
static const char *is_name(const char *at, const char *name)
{
	for (at++; *at != '"'; name++) {
		unsigned byte = (unsigned char)*at++;

		if (byte == '\\' && *at == 'u') {
			byte = hex_digit(at[3]) << 4 | hex_digit(at[4]);
			at += 5;
		} else if (byte == '\\') {
			byte = (unsigned char)*at++;
		}
		require(byte == (unsigned char)*name);
	}
	require(!*name);
	return at + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_text status = { 0 }, json = { 0 };
	char name[256] = "";
	const char *end, *hex;

	memcpy(name, data, size < sizeof(name) ? size : sizeof(name) - 1);
	require(!ipcfs_text_pair(&status, "name", name));
	require(!ipcfs_status_json(&status, &json));
	is_line(&json);
	end = is_name(strchr(json.data, ':') + 1, name);
	hex = *end == ',' ? end + strlen(",\"name_hex\":\"") : NULL;
	for (size_t i = 0; hex && i < strlen(name); i++)
		require((hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1])) ==
			(unsigned char)name[i]);
	ipcfs_text_free(&status);
	ipcfs_text_free(&json);
	return 0;
}
