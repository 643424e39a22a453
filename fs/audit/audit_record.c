/* SPDX-License-Identifier: MIT */
#include "fs/audit/audit_record.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fs/access/access.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ESCAPED 4 /* bytes that an escaped byte takes */

static const char *const op_names[] = {
	[IPCFS_AUDIT_OPEN] = "open",	       [IPCFS_AUDIT_READ] = "read",
	[IPCFS_AUDIT_WRITE] = "write",	       [IPCFS_AUDIT_LIST] = "list",
	[IPCFS_AUDIT_STAT] = "stat",	       [IPCFS_AUDIT_ACCESS] = "access",
	[IPCFS_AUDIT_ENTER] = "enter",	       [IPCFS_AUDIT_MAKE] = "make",
	[IPCFS_AUDIT_REMOVE] = "remove",       [IPCFS_AUDIT_CHMOD] = "chmod",
	[IPCFS_AUDIT_CHOWN] = "chown",	       [IPCFS_AUDIT_SETFACL] = "setfacl",
	[IPCFS_AUDIT_CHANGE_BYTES] = "change", [IPCFS_AUDIT_LIMIT] = "limit",
};

static const struct {
	int error;
	const char *name;
} refusals[] = {
	{ EACCES, "EACCES" }, { EPERM, "EPERM" },   { EROFS, "EROFS" },	  { ENOSPC, "ENOSPC" },
	{ EMFILE, "EMFILE" }, { EDQUOT, "EDQUOT" }, { EAGAIN, "EAGAIN" },
};

static const char *const level_names[] = {
	[IPCFS_AUDIT_DENY] = "deny",
	[IPCFS_AUDIT_CHANGE] = "change",
	[IPCFS_AUDIT_ALL] = "all",
};

/* Returns the name of an errno that is a refusal, or NULL. */
static const char *refusal_name(int error)
{
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (refusals[i].error == -error)
			return refusals[i].name;
	return NULL;
}

bool ipcfs_audit_wanted(enum ipcfs_audit_level level, enum ipcfs_audit_op op, int error)
{
	if (error)
		return level >= IPCFS_AUDIT_DENY && refusal_name(error);
	return level >= (op >= IPCFS_AUDIT_MAKE ? IPCFS_AUDIT_CHANGE : IPCFS_AUDIT_ALL);
}

const char *ipcfs_audit_op_name(enum ipcfs_audit_op op)
{
	return op_names[op];
}

enum ipcfs_audit_level ipcfs_audit_level(const char *name)
{
	for (size_t i = IPCFS_AUDIT_DENY; i < COUNT(level_names); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (enum ipcfs_audit_level)i;
	return IPCFS_AUDIT_OFF;
}

/*
 * A record that grows. Text that does not fit is cut, but IPCFS_AUDIT_RECORD_MAX is enough for
 * every record.
 */
struct line {
	char *text;
	size_t size;
};

static void add_raw(struct line *line, const char *text)
{
	size_t size = strlen(text), capacity = IPCFS_AUDIT_RECORD_MAX - 1 - line->size;

	if (size > capacity)
		size = capacity;
	memcpy(line->text + line->size, text, size);
	line->size += size;
}

/* Appends at most `max` bytes of text, escaped. NULL: nothing. */
static void add_escaped(struct line *line, const char *text, size_t max)
{
	for (; text && *text && max; text++, max--) {
		unsigned char byte = (unsigned char)*text;

		/* Leaves space for the quote behind the value. */
		if (line->size + ESCAPED + 2 > IPCFS_AUDIT_RECORD_MAX)
			return;
		if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\') {
			line->text[line->size++] = (char)byte;
			continue;
		}
		line->text[line->size++] = '\\';
		line->text[line->size++] = (char)('0' + (byte >> 6));
		line->text[line->size++] = (char)('0' + (byte >> 3 & 7));
		line->text[line->size++] = (char)('0' + (byte & 7));
	}
}

static void add_field(struct line *line, const char *key, const char *value, size_t max)
{
	if (line->size)
		add_raw(line, " ");
	add_raw(line, key);
	add_raw(line, "=\"");
	add_escaped(line, value, max);
	add_raw(line, "\"");
}

static void add_number(struct line *line, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	add_field(line, key, text, sizeof(text));
}

/* Appends the time as in ISO 8601, in UTC with milliseconds. */
static void add_time(struct line *line, const struct timespec *when)
{
	char date[32] = "", text[48];
	struct tm tm;

	if (gmtime_r(&when->tv_sec, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(when->tv_nsec / 1000000));
	add_field(line, "time", text, sizeof(text));
}

static void add_object(struct line *line, const struct ipcfs_audit_event *event)
{
	const char *const parts[] = { event->family, event->class_name, event->name };
	bool first = true;
	char above[32];

	add_raw(line, " object=\"");
	if (event->ipc_namespace) {
		snprintf(above, sizeof(above), "ns/%" PRIu64 "/", event->ipc_namespace);
		add_raw(line, above);
	}
	for (size_t i = 0; i < COUNT(parts); i++) {
		if (!parts[i])
			continue;
		if (!first)
			add_raw(line, "/");
		add_escaped(line, parts[i], NAME_MAX);
		first = false;
	}
	add_raw(line, "\"");
}

static const char *want_name(unsigned want)
{
	if ((want & IPCFS_WANT_READ) && (want & IPCFS_WANT_WRITE))
		return "read,write";
	if (want & IPCFS_WANT_READ)
		return "read";
	return want & IPCFS_WANT_WRITE ? "write" : "";
}

size_t ipcfs_audit_format(char record[IPCFS_AUDIT_RECORD_MAX],
			  const struct ipcfs_audit_event *event,
			  const struct ipcfs_audit_program *program, const struct timespec *when)
{
	struct line line = { .text = record };

	add_time(&line, when);
	add_field(&line, "op", op_names[event->op], 16);
	add_object(&line, event);
	add_field(&line, "file", event->file, 64);
	add_field(&line, "want", want_name(event->want), 16);
	add_number(&line, "uid", event->uid);
	add_number(&line, "gid", event->gid);
	add_number(&line, "pid", program->pid > 0 ? (uint64_t)program->pid : 0);
	add_field(&line, "program", program->name, IPCFS_PROGRAM_SIZE);
	add_field(&line, "verdict", event->error ? "deny" : "allow", 8);
	add_field(&line, "reason", event->reason, 32);
	add_field(&line, "error", event->error ? refusal_name(event->error) : NULL, 16);
	add_field(&line, "detail", event->detail, 64);
	record[line.size] = '\0';
	return line.size;
}

size_t ipcfs_audit_format_summary(char record[IPCFS_AUDIT_RECORD_MAX], const char *uid,
				  uint64_t suppressed, const char *reason,
				  const struct timespec *when)
{
	struct line line = { .text = record };

	add_time(&line, when);
	add_field(&line, "op", "summary", 16);
	add_field(&line, "uid", uid, 16);
	add_number(&line, "suppressed", suppressed);
	add_field(&line, "reason", reason, 32);
	record[line.size] = '\0';
	return line.size;
}
