/* SPDX-License-Identifier: MIT */
/* Any line written to `create`: an accepted line is legal, and can be written in plain bytes. */
#include <stdint.h>
#include <string.h>

#include "fs/control/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ipcfs_refusal reason;

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_legal(const struct ipcfs_spec *spec)
{
	size_t size = strnlen(spec->name, sizeof(spec->name));

	require(size > 0 && size <= NAME_MAX);
	require(!strchr(spec->name, '/'));
	require(strcmp(spec->name, ".") && strcmp(spec->name, ".."));
	require(spec->class->check_name(spec->name) == 0);
	require(ipcfs_class_find(spec->class->family, spec->class->name) == spec->class);
	require(!(spec->mode & ~0666U));
	require(spec->given & IPCFS_SPEC_MODE || spec->mode == 0600);
	require(!(spec->given & ~spec->class->spec_keys));
	require(!!(spec->given & IPCFS_SPEC_MAX_MESSAGES) == (spec->max_messages > 0));
	require(!!(spec->given & IPCFS_SPEC_MAX_MESSAGE) == (spec->max_message > 0));
	require(!!(spec->given & IPCFS_SPEC_MAX_BYTES) == (spec->max_bytes > 0));
	require(spec->max_messages <= LONG_MAX && spec->max_message <= LONG_MAX);
}

static void require_same(const struct ipcfs_spec *a, const struct ipcfs_spec *b)
{
	require(a->class == b->class && !strcmp(a->name, b->name));
	require(a->given == b->given && a->mode == b->mode);
	require(a->max_messages == b->max_messages && a->max_message == b->max_message);
	require(a->max_bytes == b->max_bytes);
}

/* One line of printable bytes. */
static void check_reason(void)
{
	size_t size = strnlen(reason.text, sizeof(reason.text));

	require(size > 2 && size < sizeof(reason.text));
	for (size_t i = 0; i < size; i++)
		require(reason.text[i] >= ' ' && reason.text[i] <= '~');
}

/* Appends a name with \ooo for each byte that would end the field or start an escape. */
static bool escape(struct ipcfs_text *line, const char *name)
{
	bool written = true;

	for (; *name && written; name++) {
		bool plain = *name > ' ' && *name <= '~' && *name != '\\' && *name != '#';

		written = !ipcfs_text_printf(line, plain ? "%c" : "\\%03o",
					     (unsigned)(unsigned char)*name);
	}
	return written;
}

/* Starts a line with the path of this name in the class. Returns false if there is no memory. */
static bool write_path(struct ipcfs_text *line, const struct ipcfs_class *class, const char *name)
{
	return !ipcfs_text_printf(line, "%s/%s/", class->family, class->name) && escape(line, name);
}

/* Writes what was understood as a line again, and reads that. */
static void check_rewritten(const struct ipcfs_spec *spec)
{
	struct ipcfs_text line = { 0 };
	struct ipcfs_spec again;
	bool written = write_path(&line, spec->class, spec->name);

	if (written && spec->given & IPCFS_SPEC_MAX_BYTES)
		written = !ipcfs_text_printf(&line, "\tqbytes=%llu",
					     (unsigned long long)spec->max_bytes);
	if (written && spec->given & IPCFS_SPEC_MAX_MESSAGE)
		written = !ipcfs_text_printf(&line, " msgsize=%llu",
					     (unsigned long long)spec->max_message);
	if (written && spec->given & IPCFS_SPEC_MAX_MESSAGES)
		written = !ipcfs_text_printf(&line, " maxmsg=%llu",
					     (unsigned long long)spec->max_messages);
	if (written && spec->given & IPCFS_SPEC_MODE)
		written = !ipcfs_text_printf(&line, "  mode=%04o ", (unsigned)spec->mode);
	for (size_t i = 0; written && i < spec->values.size / sizeof(uint32_t); i++)
		written =
			!ipcfs_text_printf(&line, "%s%u", i ? "," : " values=",
					   ((const uint32_t *)(const void *)spec->values.data)[i]);
	if (written) {
		require(ipcfs_spec_parse(line.data, line.size, &again, &reason) == 0);
		require_same(spec, &again);
		require(spec->values.size == again.values.size);
		require(!spec->values.size ||
			!memcmp(spec->values.data, again.values.data, spec->values.size));
		ipcfs_spec_free(&again);
	}
	ipcfs_text_free(&line);
}

/* Takes the input as a name: if a class accepts it, its escaped form means the same. */
static void check_name(const uint8_t *data, size_t size)
{
	char name[NAME_MAX + 1];

	if (size == 0 || size > NAME_MAX || memchr(data, '\0', size) || memchr(data, '/', size))
		return;
	memcpy(name, data, size);
	name[size] = '\0';
	for (const struct ipcfs_class *const *at = ipcfs_classes; *at; at++) {
		struct ipcfs_text line = { 0 };
		struct ipcfs_spec spec;

		if (write_path(&line, *at, name)) {
			int taken = (*at)->check_name(name);

			require(ipcfs_spec_parse(line.data, line.size, &spec, &reason) == taken);
			require(taken || (spec.class == *at && !strcmp(spec.name, name)));
		}
		ipcfs_text_free(&line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_spec spec;
	int result = ipcfs_spec_parse((const char *)data, size, &spec, &reason);

	require(result <= 1);
	if (result < 0)
		check_reason();
	if (result == 0) {
		check_legal(&spec);
		check_rewritten(&spec);
		ipcfs_spec_free(&spec);
	}
	check_name(data, size);
	return 0;
}
