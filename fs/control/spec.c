/* SPDX-License-Identifier: MIT */
#include "fs/control/spec.h"

#include <errno.h>
#include <string.h>

#include "fs/base/number.h"

#define MODE_DEFAULT 0600

/* A part of the line. */
struct span {
	const char *start;
	size_t size;
};

/* The keys, and the largest values. */
static const struct spec_key {
	const char *name;
	enum ipcfs_spec_key key;
	uint64_t max;
} spec_keys[] = {
	{ "mode", IPCFS_SPEC_MODE, 0 },
	/* the kernel takes these two as long */
	{ "maxmsg", IPCFS_SPEC_MAX_MESSAGES, LONG_MAX },
	{ "msgsize", IPCFS_SPEC_MAX_MESSAGE, LONG_MAX },
	/* the kernel takes this one as unsigned long */
	{ "qbytes", IPCFS_SPEC_MAX_BYTES, ULONG_MAX },
	/* the largest off_t */
	{ "size", IPCFS_SPEC_SIZE, INT64_MAX },
	/* a list; each value at most SEM_VALUE_MAX, that of POSIX semaphores */
	{ "values", IPCFS_SPEC_VALUES, INT_MAX },
	{ "value", IPCFS_SPEC_VALUES, INT_MAX }, /* a list of one */
	{ "type", IPCFS_SPEC_BROKER_TYPE, 0 },
	/* the largest number of AMQP */
	{ "maxlen", IPCFS_SPEC_BROKER_MAX_LENGTH, INT64_MAX },
	{ "maxbytes", IPCFS_SPEC_BROKER_MAX_BYTES, INT64_MAX },
	/* the largest of RabbitMQ's timers */
	{ "ttl", IPCFS_SPEC_BROKER_TTL, UINT32_MAX },
	{ "dead", IPCFS_SPEC_BROKER_DEAD, 0 },
	{ "redeliver", IPCFS_SPEC_BROKER_REDELIVER, UINT32_MAX },
	{ "prio", IPCFS_SPEC_BROKER_PRIORITIES, UINT8_MAX },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next field off the line. Returns false if there is none. */
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

/*
 * Splits *field at the first byte `at`: *head gets what is before it, *field keeps what is behind
 * it. Returns false if there is no such byte.
 */
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

/* Returns the byte that three octal digits stand for, or -1. */
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

/*
 * Writes a path component with its escapes replaced by bytes.
 * -EINVAL: an escape is malformed, or the component is empty or has a NUL or a slash.
 * -ENAMETOOLONG: there are more than NAME_MAX bytes.
 */
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

/* Notes that no class has this name. Returns -EINVAL. */
static int no_class(struct span path, struct ipcfs_refusal *reason)
{
	struct ipcfs_text list = { 0 };

	/* without memory the list is shorter */
	for (const struct ipcfs_class *const *at = ipcfs_classes; *at; at++)
		(void)ipcfs_text_printf(&list, " %s/%s", (*at)->family, (*at)->name);
	ipcfs_refusal_set(reason, path.start, path.size,
			  "FAMILY/CLASS/NAME is wanted, with one of the classes%.*s",
			  (int)list.size, list.data);
	ipcfs_text_free(&list);
	return -EINVAL;
}

/* Notes why no object of the class can have this name. Returns err. */
static int no_name(struct span path, const struct ipcfs_class *class, int err,
		   struct ipcfs_refusal *reason)
{
	const char *why = "no object of this class can have this name";

	if (err == -ENAMETOOLONG)
		why = "the name is too long";
	else if (class->rule == IPCFS_RULE_SYSV)
		why = "the name is a key from 0x1 to 0xffffffff, or private";
	ipcfs_refusal_set(reason, path.start, path.size, "%s", why);
	return err;
}

/* Parses FAMILY/CLASS/NAME. */
static int parse_path(struct span path, struct ipcfs_spec *spec, struct ipcfs_refusal *reason)
{
	char family_name[NAME_MAX + 1], class_name[NAME_MAX + 1];
	struct span rest = path, family, class;
	int err;

	if (!take_until(&rest, '/', &family) || !take_until(&rest, '/', &class))
		return no_class(path, reason);
	/* a name that is too long is not that of a class: -EINVAL */
	if (unescape(family, family_name) || unescape(class, class_name))
		return no_class(path, reason);
	spec->class = ipcfs_class_find(family_name, class_name);
	if (!spec->class)
		return no_class(path, reason);
	err = unescape(rest, spec->name);
	if (!err)
		err = spec->class->check_name(spec->name);
	return err ? no_name(path, spec->class, err, reason) : 0;
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

/* Parses VALUE,VALUE,... and appends each value, a uint32_t. */
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

/* Returns the largest value of a key. */
static uint64_t max_of(const struct spec_key *key, const struct ipcfs_class *class)
{
	return key->key == IPCFS_SPEC_VALUES && class->semaphore ? class->semaphore->value_max
								 : key->max;
}

/* Returns whether a list of values may have one only. */
static bool takes_one(const struct spec_key *key, const struct ipcfs_class *class)
{
	return strcmp(key->name, "value") == 0 || (class->semaphore && !class->semaphore->sets);
}

/* Parses a list of values, for `values`, or one, for `value`. */
static int set_values(const struct spec_key *key, struct span list, struct ipcfs_spec *spec)
{
	if (takes_one(key, spec->class) && memchr(list.start, ',', list.size))
		return -EINVAL;
	return parse_values(list, max_of(key, spec->class), &spec->values);
}

/* Parses the type of a broker's queue. */
static int set_type(struct span value, struct ipcfs_spec *spec)
{
	static const char *const types[] = { "quorum", "classic" };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (value.size != strlen(types[i]) ||
		    memcmp(value.start, types[i], value.size) != 0)
			continue;
		strcpy(spec->broker.type, types[i]);
		return 0;
	}
	return -EINVAL;
}

/* Returns where the number of a key goes. */
static uint64_t *number_of(enum ipcfs_spec_key key, struct ipcfs_spec *spec)
{
	switch (key) {
	case IPCFS_SPEC_MAX_MESSAGES:
		return &spec->max_messages;
	case IPCFS_SPEC_MAX_MESSAGE:
		return &spec->max_message;
	case IPCFS_SPEC_SIZE:
		return &spec->size;
	case IPCFS_SPEC_BROKER_MAX_LENGTH:
		return &spec->broker.max_length;
	case IPCFS_SPEC_BROKER_MAX_BYTES:
		return &spec->broker.max_bytes;
	case IPCFS_SPEC_BROKER_TTL:
		return &spec->broker.ttl;
	case IPCFS_SPEC_BROKER_REDELIVER:
		return &spec->broker.redeliver;
	case IPCFS_SPEC_BROKER_PRIORITIES:
		return &spec->broker.priorities;
	default:
		return &spec->max_bytes;
	}
}

/* Parses the value of a key that the class has. */
static int set_value(const struct spec_key *key, struct span value, struct ipcfs_spec *spec)
{
	uint64_t number;
	int err;

	if (key->key == IPCFS_SPEC_MODE)
		return ipcfs_mode_parse(value.start, value.size, &spec->mode);
	if (key->key == IPCFS_SPEC_VALUES)
		return set_values(key, value, spec);
	if (key->key == IPCFS_SPEC_BROKER_TYPE)
		return set_type(value, spec);
	if (key->key == IPCFS_SPEC_BROKER_DEAD)
		return unescape(value, spec->broker.dead);
	err = ipcfs_size_parse(value.start, value.size, key->max, &number);
	if (err)
		return err;
	if (number == 0 && key->key != IPCFS_SPEC_SIZE)
		return -ERANGE; /* but a segment can be empty */
	*number_of(key->key, spec) = number;
	return 0;
}

/* Returns which value a key of this class takes. */
static const char *wanted_value(const struct spec_key *key, const struct ipcfs_class *class)
{
	switch (key->key) {
	case IPCFS_SPEC_MODE:
		return "octal digits for r and w are wanted, such as 0660";
	case IPCFS_SPEC_VALUES:
		return takes_one(key, class) ? "one number is wanted"
					     : "numbers with commas between them are wanted";
	case IPCFS_SPEC_BROKER_TYPE:
		return "quorum or classic is wanted";
	case IPCFS_SPEC_BROKER_DEAD:
		return "the name of a queue of the connection is wanted";
	default:
		return "a number is wanted, or one with K, M, G or T";
	}
}

/* Notes that the class has no such key. Returns -EINVAL. */
static int no_key(struct span pair, const struct ipcfs_class *class, struct ipcfs_refusal *reason)
{
	struct ipcfs_text list = { 0 };

	for (size_t i = 0; i < sizeof(spec_keys) / sizeof(spec_keys[0]); i++)
		if (class->spec_keys & spec_keys[i].key)
			(void)ipcfs_text_printf(&list, " %s", spec_keys[i].name);
	ipcfs_refusal_set(reason, pair.start, pair.size,
			  "KEY=VALUE is wanted, with one of the keys of %s/%s:%.*s", class->family,
			  class->name, (int)list.size, list.data);
	ipcfs_text_free(&list);
	return -EINVAL;
}

/* Notes why the value of a key is wrong. Returns err. */
static int no_value(struct span pair, const struct spec_key *key, const struct ipcfs_class *class,
		    int err, struct ipcfs_refusal *reason)
{
	bool from_zero = key->key == IPCFS_SPEC_SIZE || key->key == IPCFS_SPEC_VALUES;

	if (err == -ERANGE)
		ipcfs_refusal_set(reason, pair.start, pair.size,
				  "a number from %d to %llu is wanted", from_zero ? 0 : 1,
				  (unsigned long long)max_of(key, class));
	else
		ipcfs_refusal_set(reason, pair.start, pair.size, "%s",
				  err == -EINVAL ? wanted_value(key, class) : strerror(-err));
	return err;
}

/* Parses KEY=VALUE. */
static int parse_pair(struct span pair, struct ipcfs_spec *spec, struct ipcfs_refusal *reason)
{
	const struct spec_key *key;
	struct span value = pair, name = { 0 };
	int err;

	if (!take_until(&value, '=', &name))
		return no_key(pair, spec->class, reason);
	key = find_key(name);
	if (!key || !(spec->class->spec_keys & key->key))
		return no_key(pair, spec->class, reason);
	if (spec->given & key->key) {
		ipcfs_refusal_set(reason, pair.start, pair.size, "it is given twice");
		return -EINVAL;
	}
	spec->given |= key->key;
	err = set_value(key, value, spec);
	return err ? no_value(pair, key, spec->class, err, reason) : 0;
}

int ipcfs_spec_parse(const char *line, size_t size, struct ipcfs_spec *spec,
		     struct ipcfs_refusal *reason)
{
	struct span rest = { line, size }, field;
	int err;

	if (size == 0 || !take_field(&rest, &field) || field.start[0] == '#')
		return 1;
	if (memchr(field.start, '\n', field.size)) {
		ipcfs_refusal_set(reason, field.start, field.size, "a word can't have a newline");
		return -EINVAL;
	}
	*spec = (struct ipcfs_spec){ .mode = MODE_DEFAULT };
	err = parse_path(field, spec, reason);
	while (!err && take_field(&rest, &field))
		err = parse_pair(field, spec, reason);
	if (err)
		ipcfs_spec_free(spec);
	return err;
}

void ipcfs_spec_free(struct ipcfs_spec *spec)
{
	ipcfs_text_free(&spec->values);
}

const struct ipcfs_class *ipcfs_class_find(const char *family, const char *class_name)
{
	for (const struct ipcfs_class *const *at = ipcfs_classes; *at; at++)
		if (!strcmp((*at)->family, family) && !strcmp((*at)->name, class_name))
			return *at;
	return NULL;
}
