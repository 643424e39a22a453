/* SPDX-License-Identifier: MIT */
#include "translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum meaning { MEANS_NOTHING, MEANS_USER, MEANS_GROUP, MEANS_PROCESS };

static bool ends_with(const char *key, size_t size, const char *end)
{
	size_t length = strlen(end);

	return size >= length && memcmp(key + size - length, end, length) == 0;
}

static bool is(const char *key, size_t size, const char *name)
{
	return size == strlen(name) && memcmp(key, name, size) == 0;
}

static enum meaning meaning_of(const char *key, size_t size)
{
	if (is(key, size, "uid") || is(key, size, "cuid") || ends_with(key, size, "_uid"))
		return MEANS_USER;
	if (is(key, size, "gid") || is(key, size, "cgid"))
		return MEANS_GROUP;
	while (size && key[size - 1] >= '0' && key[size - 1] <= '9')
		size--;
	if (ends_with(key, size, "_pid") || ends_with(key, size, "_pid_"))
		return MEANS_PROCESS;
	return MEANS_NOTHING;
}

static unsigned long translated(enum meaning meaning, unsigned long number,
				const struct ipcfs_translation *translation)
{
	uid_t uid;
	gid_t gid;

	switch (meaning) {
	case MEANS_USER:
		if (!translation->ids)
			return number;
		return ipcfs_id_map_uid(translation->map, (uid_t)number, &uid) ? IPCFS_OVERFLOW_ID
									       : uid;
	case MEANS_GROUP:
		if (!translation->ids)
			return number;
		return ipcfs_id_map_gid(translation->map, (gid_t)number, &gid) ? IPCFS_OVERFLOW_ID
									       : gid;
	case MEANS_PROCESS:
		if (!translation->process || !number)
			return number;
		return (unsigned long)translation->process(translation->arg, (pid_t)number);
	default:
		return number;
	}
}

/* How long the line is, with its newline: one in quotes is part of a value. */
static size_t line_size(const char *text, size_t size)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < size; i++) {
		if (text[i] == '\'')
			quoted = !quoted;
		else if (text[i] == '\\' && !quoted)
			i++;
		else if (text[i] == '\n' && !quoted)
			return i + 1;
	}
	return size;
}

static int add_line(struct ipcfs_text *to, const char *line, size_t size,
		    const struct ipcfs_translation *translation)
{
	const char *equals = memchr(line, '=', size);
	enum meaning meaning = equals ? meaning_of(line, (size_t)(equals - line)) : MEANS_NOTHING;
	unsigned long number;
	char *end;

	if (meaning == MEANS_NOTHING)
		return ipcfs_text_add(to, line, size);
	number = strtoul(equals + 1, &end, 10); /* the line's newline ends it */
	if (end == equals + 1 || end != line + size - 1)
		return ipcfs_text_add(to, line, size);
	return ipcfs_text_printf(to, "%.*s=%lu\n", (int)(equals - line), line,
				 translated(meaning, number, translation));
}

int ipcfs_translate_status(struct ipcfs_text *status, const struct ipcfs_translation *translation)
{
	struct ipcfs_text fresh = { 0 }, old = *status;
	size_t at = 0;
	int err = 0;

	while (!err && at < old.size) {
		size_t size = line_size(old.data + at, old.size - at);

		err = add_line(&fresh, old.data + at, size, translation);
		at += size;
	}
	if (err) {
		ipcfs_text_free(&fresh);
		return err;
	}
	*status = fresh;
	ipcfs_text_free(&old);
	return 0;
}
