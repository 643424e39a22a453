/* SPDX-License-Identifier: MIT */
#include "spec.h"

#include <errno.h>
#include <string.h>

#include "number.h"

#define MODE_DEFAULT 0600

/* A run of bytes in the line that is read. */
struct span {
	const char *start;
	size_t size;
};

static const struct spec_key {
	const char *name;
	enum ipcfs_spec_key key;
	uint64_t max;
} spec_keys[] = {
	{ "mode", IPCFS_SPEC_MODE, 0 },
	/* The kernel takes these two as long, */
	{ "maxmsg", IPCFS_SPEC_MAX_MESSAGES, LONG_MAX },
	{ "msgsize", IPCFS_SPEC_MAX_MESSAGE, LONG_MAX },
	/* and this one as unsigned long. */
	{ "qbytes", IPCFS_SPEC_MAX_BYTES, ULONG_MAX },
	/* No file is longer. */
	{ "size", IPCFS_SPEC_SIZE, INT64_MAX },
	/* A list, each as large as any kind of semaphore has. */
	{ "values", IPCFS_SPEC_VALUES, INT_MAX },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Take the next field off the line; false: there is none. */
static bool take_field(struct span *line, struct span *field)
{
	size_t skip = 0, end;

	while (skip < line->size && is_blank(line->start[skip]))
		skip++;
	end = skip;
	while (end < line->size && !is_blank(line->start[end]))
		end++;
	field->start = line->start + skip;
	field->size = end - skip;
	line->start += end;
	line->size -= end;
	return field->size > 0;
}

/* Split `field` at its first `at`: what stands before it goes to `head`, `field` keeps the rest. */
static bool take_until(struct span *field, char at, struct span *head)
{
	const char *found = memchr(field->start, at, field->size);

	if (!found)
		return false;
	head->start = field->start;
	head->size = (size_t)(found - field->start);
	field->start += head->size + 1;
	field->size -= head->size + 1;
	return true;
}

/* The byte that three octal digits name, or -1. */
static int octal_byte(const char *digits)
{
	int byte = 0;

	for (int i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '7')
			return -1;
		byte = byte * 8 + (digits[i] - '0');
	}
	return byte <= 0377 ? byte : -1;
}

/* One path component, its escapes resolved. -EINVAL also for what no component can hold. */
static int unescape(struct span from, char to[NAME_MAX + 1])
{
	size_t size = 0;

	if (from.size == 0)
		return -EINVAL;
	for (size_t i = 0; i < from.size; i++) {
		int byte = (unsigned char)from.start[i];

		if (byte == '\\') {
			if (from.size - i < 4)
				return -EINVAL;
			byte = octal_byte(from.start + i + 1);
			i += 3;
		}
		if (byte <= 0 || byte == '/')
			return -EINVAL;
		if (size < NAME_MAX)
			to[size] = (char)byte;
		size++;
	}
	if (size > NAME_MAX)
		return -ENAMETOOLONG;
	to[size] = '\0';
	return 0;
}

/* FAMILY/CLASS/NAME */
static int parse_path(struct span path, struct ipcfs_spec *spec)
{
	char family_name[NAME_MAX + 1], class_name[NAME_MAX + 1];
	struct span family, class;
	int err;

	if (!take_until(&path, '/', &family) || !take_until(&path, '/', &class))
		return -EINVAL;
	/* No class has a name that is too long. */
	if (unescape(family, family_name) || unescape(class, class_name))
		return -EINVAL;
	spec->backend = ipcfs_class_find(family_name, class_name);
	if (!spec->backend)
		return -EINVAL;
	err = unescape(path, spec->name);
	return err ? err : spec->backend->check_name(spec->name);
}

static const struct spec_key *find_key(struct span name)
{
	for (size_t i = 0; i < sizeof(spec_keys) / sizeof(spec_keys[0]); i++) {
		const struct spec_key *key = &spec_keys[i];

		if (strlen(key->name) == name.size && !memcmp(key->name, name.start, name.size))
			return key;
	}
	return NULL;
}

/* VALUE,VALUE,... */
static int parse_values(struct span list, uint64_t max, struct ipcfs_text *values)
{
	bool more = true;

	while (more) {
		struct span item = list;
		uint64_t number;
		uint32_t value;
		int err;

		more = take_until(&list, ',', &item);
		err = ipcfs_size_parse(item.start, item.size, max, &number);
		if (err)
			return err;
		value = (uint32_t)number;
		err = ipcfs_text_add(values, &value, sizeof(value));
		if (err)
			return err;
	}
	return 0;
}

/* KEY=VALUE */
static int parse_pair(struct span value, struct ipcfs_spec *spec)
{
	const struct spec_key *key;
	struct span name;
	uint64_t number;
	int err;

	if (!take_until(&value, '=', &name))
		return -EINVAL;
	key = find_key(name);
	if (!key || !(spec->backend->spec_keys & key->key) || spec->given & key->key)
		return -EINVAL;
	spec->given |= key->key;
	if (key->key == IPCFS_SPEC_MODE)
		return ipcfs_mode_parse(value.start, value.size, &spec->mode);
	if (key->key == IPCFS_SPEC_VALUES)
		return parse_values(value, key->max, &spec->values);

	err = ipcfs_size_parse(value.start, value.size, key->max, &number);
	if (err)
		return err;
	if (key->key == IPCFS_SPEC_SIZE) {
		spec->size = number; /* there are empty segments */
		return 0;
	}
	if (number == 0)
		return -ERANGE;
	if (key->key == IPCFS_SPEC_MAX_MESSAGES)
		spec->max_messages = number;
	else if (key->key == IPCFS_SPEC_MAX_MESSAGE)
		spec->max_message = number;
	else
		spec->max_bytes = number;
	return 0;
}

int ipcfs_spec_parse(const char *line, size_t size, struct ipcfs_spec *spec)
{
	struct span rest = { line, size }, field;
	int err;

	if (size == 0 || !take_field(&rest, &field) || field.start[0] == '#')
		return 1;
	if (memchr(field.start, '\n', field.size))
		return -EINVAL;
	*spec = (struct ipcfs_spec){ .mode = MODE_DEFAULT };
	err = parse_path(field, spec);
	while (!err && take_field(&rest, &field))
		err = parse_pair(field, spec);
	if (err)
		ipcfs_spec_free(spec);
	return err;
}

void ipcfs_spec_free(struct ipcfs_spec *spec)
{
	ipcfs_text_free(&spec->values);
}

const struct ipcfs_backend *ipcfs_class_find(const char *family, const char *class_name)
{
	for (const struct ipcfs_backend *const *at = ipcfs_backends; *at; at++)
		if (!strcmp((*at)->family, family) && !strcmp((*at)->class_name, class_name))
			return *at;
	return NULL;
}

int ipcfs_spec_escape(const char *name, struct ipcfs_text *out)
{
	size_t was = out->size;
	int err = 0;

	for (; *name && !err; name++) {
		bool plain = *name > ' ' && *name <= '~' && *name != '\\' && *name != '#';

		if (plain)
			err = ipcfs_text_add(out, name, 1);
		else
			err = ipcfs_text_printf(out, "\\%03o", (unsigned)(unsigned char)*name);
	}
	if (err)
		ipcfs_text_cut(out, was);
	return err;
}
