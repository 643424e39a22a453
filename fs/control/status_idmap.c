/* SPDX-License-Identifier: MIT */
#include "fs/control/status_idmap.h"

#include <stdlib.h>
#include <string.h>

/* The meaning of the number in a line. */
enum meaning { MEANS_NOTHING, MEANS_USER, MEANS_GROUP, MEANS_PROCESS };

static bool ends_with(const char *key, size_t size, const char *end)
{
	size_t length = strlen(end);

	return size >= length && memcmp(key + size - length, end, length) == 0;
}

static bool is_key(const char *key, size_t size, const char *name)
{
	return size == strlen(name) && memcmp(key, name, size) == 0;
}

static enum meaning meaning_of(const char *key, size_t size)
{
	if (is_key(key, size, "uid") || is_key(key, size, "cuid") || ends_with(key, size, "_uid"))
		return MEANS_USER;
	if (is_key(key, size, "gid") || is_key(key, size, "cgid"))
		return MEANS_GROUP;
	if (is_key(key, size, "pid"))
		return MEANS_PROCESS;
	while (size && key[size - 1] >= '0' && key[size - 1] <= '9')
		size--;
	if (ends_with(key, size, "_pid") || ends_with(key, size, "_pid_"))
		return MEANS_PROCESS;
	return MEANS_NOTHING;
}

/* Returns the number in the reader's namespaces. */
static unsigned long mapped_number(enum meaning meaning, unsigned long number,
				   const struct ipcfs_status_idmap *idmap)
{
	uid_t uid;
	gid_t gid;

	switch (meaning) {
	case MEANS_USER:
		if (!idmap->ids)
			return number;
		return ipcfs_id_map_uid(idmap->map, (uid_t)number, &uid) ? IPCFS_OVERFLOW_ID : uid;
	case MEANS_GROUP:
		if (!idmap->ids)
			return number;
		return ipcfs_id_map_gid(idmap->map, (gid_t)number, &gid) ? IPCFS_OVERFLOW_ID : gid;
	case MEANS_PROCESS:
		if (!idmap->process || !number)
			return number;
		return (unsigned long)idmap->process(idmap->arg, (pid_t)number);
	default:
		return number;
	}
}

size_t ipcfs_status_line_size(const char *text, size_t size)
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

/* Appends a line, with its number mapped. A line with anything else but a number is not changed. */
static int add_line(struct ipcfs_text *to, const char *line, size_t size,
		    const struct ipcfs_status_idmap *idmap)
{
	const char *equals = memchr(line, '=', size);
	enum meaning meaning = equals ? meaning_of(line, (size_t)(equals - line)) : MEANS_NOTHING;
	unsigned long number;
	char *end;

	if (meaning == MEANS_NOTHING)
		return ipcfs_text_add(to, line, size);
	number = strtoul(equals + 1, &end, 10); /* the number ends at the newline, if not before */
	if (end == equals + 1 || end != line + size - 1)
		return ipcfs_text_add(to, line, size);
	return ipcfs_text_printf(to, "%.*s=%lu\n", (int)(equals - line), line,
				 mapped_number(meaning, number, idmap));
}

int ipcfs_status_idmap_apply(struct ipcfs_text *status, const struct ipcfs_status_idmap *idmap)
{
	struct ipcfs_text fresh = { 0 }, old = *status;
	size_t at = 0;
	int err = 0;

	while (!err && at < old.size) {
		size_t size = ipcfs_status_line_size(old.data + at, old.size - at);

		err = add_line(&fresh, old.data + at, size, idmap);
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
