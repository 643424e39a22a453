/* SPDX-License-Identifier: MIT */
#include "fs/base/settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fs/base/number.h"

#define WAITERS_DEFAULT 2048
#define WAITERS_ALL_DEFAULT 8192
#define OPENS_DEFAULT 16384
#define LEASES_DEFAULT 1024
#define BYTES_DEFAULT (64 * 1024 * 1024)
#define COUNT_MAX 1000000
#define IDS_MAX 4096
#define NAME_SIZE 256		     /* of a user or group, with the NUL */
#define LOOKUP_MAX (4 * 1024 * 1024) /* bytes for an entry */
#define ID_MAX 4294967294	     /* the next one means "no id" in system calls */

enum type { COUNT, SIZE, SWITCH, USERS, GROUPS };

static const struct setting {
	const char *name;
	enum type type;
	size_t at;	   /* offset in struct ipcfs_settings */
	long least;	   /* COUNT: the least value */
	const char *value; /* for --help: what the value is called */
	const char *help;
} table[] = {
	{ "max_waiters", COUNT, offsetof(struct ipcfs_settings, max_waiters), 1, "N",
	  "requests of one user that may wait at a time (2048)" },
	{ "max_waiters_all", COUNT, offsetof(struct ipcfs_settings, max_waiters_all), 1, "N",
	  "requests of all users that may wait at a time (8192)" },
	{ "max_opens", COUNT, offsetof(struct ipcfs_settings, max_opens), 0, "N",
	  "open files of one user, 0: any number (16384)" },
	{ "max_leases", COUNT, offsetof(struct ipcfs_settings, max_leases), 0, "N",
	  "leased messages of one user, 0: any number (1024)" },
	{ "max_objects", COUNT, offsetof(struct ipcfs_settings, max_objects), 0, "N",
	  "objects of one user, when making another, 0: any (0)" },
	{ "max_bytes", SIZE, offsetof(struct ipcfs_settings, max_bytes), 0, "SIZE",
	  "memory kept for one user, 0: any amount (64M)" },
	{ "rate", COUNT, offsetof(struct ipcfs_settings, rate), 0, "N",
	  "requests of one user in a second, 0: any number (0)" },
	{ "allow_uid", USERS, offsetof(struct ipcfs_settings, allow_uid), 0, "USER[:...]",
	  "only these users may use the mount," },
	{ "allow_gid", GROUPS, offsetof(struct ipcfs_settings, allow_gid), 0, "GROUP[:...]",
	  "and the members of these groups" },
	{ "hide", SWITCH, offsetof(struct ipcfs_settings, hide), 0, NULL,
	  "don't show users what they may neither read nor write" },
};
#define SETTINGS (sizeof(table) / sizeof(*table))

_Static_assert(SETTINGS <= 32, "one bit each in `given`");

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(name, table[i].name) == 0)
			return &table[i];
	return NULL;
}

static uint32_t given_bit(const struct setting *setting)
{
	return (uint32_t)1 << (setting - table);
}

static void *value_of(struct ipcfs_settings *settings, const struct setting *setting)
{
	return (char *)settings + setting->at;
}

/* Leaves each uid a quarter of the descriptors at most. An open file may take two. */
static unsigned default_opens(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max / 4 < OPENS_DEFAULT)
		return limit.rlim_max < 4 ? 1 : (unsigned)(limit.rlim_max / 4);
	return OPENS_DEFAULT;
}

void ipcfs_settings_init(struct ipcfs_settings *settings)
{
	*settings = (struct ipcfs_settings){
		.max_waiters = WAITERS_DEFAULT,
		.max_waiters_all = WAITERS_ALL_DEFAULT,
		.max_opens = default_opens(),
		.max_leases = LEASES_DEFAULT,
		.max_bytes = BYTES_DEFAULT,
	};
}

static void ids_free(struct ipcfs_ids *ids)
{
	free(ids->ids);
	*ids = (struct ipcfs_ids){ 0 };
}

void ipcfs_settings_free(struct ipcfs_settings *settings)
{
	ids_free(&settings->allow_uid);
	ids_free(&settings->allow_gid);
}

bool ipcfs_settings_are_listed(const struct ipcfs_settings *settings)
{
	return settings->allow_uid.count || settings->allow_gid.count;
}

/* Returns the index of the id, or the index at which it has to be inserted. */
static size_t ids_position(const struct ipcfs_ids *ids, uint32_t id)
{
	size_t low = 0, high = ids->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ids->ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ipcfs_ids_have(const struct ipcfs_ids *ids, uint32_t id)
{
	size_t at = ids_position(ids, id);

	return at < ids->count && ids->ids[at] == id;
}

int ipcfs_ids_copy(struct ipcfs_ids *to, const struct ipcfs_ids *from)
{
	*to = (struct ipcfs_ids){ 0 };
	if (from->count == 0)
		return 0;
	to->ids = calloc(from->count, sizeof(*to->ids));
	if (!to->ids)
		return -ENOMEM;
	memcpy(to->ids, from->ids, from->count * sizeof(*to->ids));
	to->count = from->count;
	return 0;
}

static int ids_add(struct ipcfs_ids *ids, uint32_t id)
{
	size_t at = ids_position(ids, id);
	uint32_t *grown;

	if (at < ids->count && ids->ids[at] == id)
		return 0;
	if (ids->count >= IDS_MAX)
		return -E2BIG;
	grown = reallocarray(ids->ids, ids->count + 1, sizeof(*ids->ids));
	if (!grown)
		return -ENOMEM;
	memmove(grown + at + 1, grown + at, (ids->count - at) * sizeof(*grown));
	grown[at] = id;
	ids->ids = grown;
	ids->count++;
	return 0;
}

/*
 * Looks up a user or a group. *found: there is one, and *id is its id. Returns 0 or an errno.
 * ERANGE: the buffer is too small.
 */
static int look_up(enum type type, const char *name, char *buffer, size_t size, bool *found,
		   uint32_t *id)
{
	struct passwd user, *is_user = NULL;
	struct group group, *is_group = NULL;
	int error = type == USERS ? getpwnam_r(name, &user, buffer, size, &is_user)
				  : getgrnam_r(name, &group, buffer, size, &is_group);

	*found = is_user || is_group;
	if (is_user)
		*id = user.pw_uid;
	if (is_group)
		*id = group.gr_gid;
	return error;
}

/*
 * Returns the id of a user or a group.
 * -EINVAL: there is none of this name, or it can't be looked up, as `wanted` says.
 * -ENOMEM.
 */
static int find_id(enum type type, const char *name, uint32_t *id, char *wanted)
{
	const char *what = type == USERS ? "user" : "group";
	bool found = false;
	int error = ERANGE;

	/* a group's list of members may be long */
	for (size_t size = 4096; error == ERANGE && size <= LOOKUP_MAX; size *= 4) {
		char *buffer = malloc(size);

		if (!buffer)
			return -ENOMEM;
		error = look_up(type, name, buffer, size, &found, id);
		free(buffer);
	}
	if (found && *id <= ID_MAX)
		return 0;
	if (error == ENOMEM)
		return -ENOMEM;
	/* some services say ENOENT or ESRCH of a name that is not there */
	if (error && error != ENOENT && error != ESRCH)
		snprintf(wanted, IPCFS_SETTINGS_WANTED, "%s %.40s can't be looked up: %.40s", what,
			 name, strerror(error));
	else
		snprintf(wanted, IPCFS_SETTINGS_WANTED, "there is no %s %.64s", what, name);
	return -EINVAL;
}

/* Parses a number, or looks up a name. */
static int parse_id(enum type type, const char *text, size_t size, uint32_t *id, char *wanted)
{
	char name[NAME_SIZE];
	long number;

	if (strspn(text, "0123456789") >= size) {
		if (ipcfs_number_parse(text, size, 0, ID_MAX, &number))
			return -EINVAL;
		*id = (uint32_t)number;
		return 0;
	}
	if (size >= sizeof(name))
		return -EINVAL;
	memcpy(name, text, size);
	name[size] = '\0';
	return find_id(type, name, id, wanted);
}

static int parse_ids(enum type type, struct ipcfs_ids *ids, const char *text, char *wanted)
{
	static const char separators[] = ":, \t";
	size_t found = 0;
	int err = 0;

	for (text += strspn(text, separators); !err && *text; found++) {
		size_t size = strcspn(text, separators);
		uint32_t id;

		err = parse_id(type, text, size, &id, wanted);
		if (!err)
			err = ids_add(ids, id);
		text += size;
		text += strspn(text, separators);
	}
	/* With an empty list everybody could use the mount. */
	return !err && found == 0 ? -EINVAL : err;
}

static int set_ids(enum type type, struct ipcfs_ids *ids, const char *value, char *wanted)
{
	struct ipcfs_ids grown;
	int err;

	snprintf(wanted, IPCFS_SETTINGS_WANTED, "a list of names and ids is wanted, such as %s",
		 type == USERS ? "root:1000" : "staff:1000");
	if (!value)
		return -EINVAL;
	err = ipcfs_ids_copy(&grown, ids);
	if (!err)
		err = parse_ids(type, &grown, value, wanted);
	if (err) {
		ids_free(&grown);
		return err;
	}
	ids_free(ids);
	*ids = grown;
	return 0;
}

static int set_count(unsigned *count, const char *value, long least, char *wanted)
{
	long number;

	snprintf(wanted, IPCFS_SETTINGS_WANTED, "a number from %ld to %d is wanted", least,
		 COUNT_MAX);
	if (!value || ipcfs_number_parse(value, strlen(value), least, COUNT_MAX, &number))
		return -EINVAL;
	*count = (unsigned)number;
	return 0;
}

static int set_size(size_t *size, const char *value, char *wanted)
{
	uint64_t bytes;

	snprintf(wanted, IPCFS_SETTINGS_WANTED,
		 "a number of bytes is wanted, perhaps with K, M or G");
	if (!value || ipcfs_size_parse(value, strlen(value), SIZE_MAX, &bytes))
		return -EINVAL;
	*size = (size_t)bytes;
	return 0;
}

static int set_switch(bool *on, const char *value, char *wanted)
{
	snprintf(wanted, IPCFS_SETTINGS_WANTED, "yes or no is wanted");
	if (!value || strcmp(value, "yes") == 0)
		*on = true;
	else if (strcmp(value, "no") == 0)
		*on = false;
	else
		return -EINVAL;
	return 0;
}

int ipcfs_settings_set(struct ipcfs_settings *settings, const char *name, const char *value,
		       char wanted[IPCFS_SETTINGS_WANTED])
{
	const struct setting *setting = find_setting(name);
	int err = -ENOENT;

	if (!setting)
		return err;
	switch (setting->type) {
	case COUNT:
		err = set_count(value_of(settings, setting), value, setting->least, wanted);
		break;
	case SIZE:
		err = set_size(value_of(settings, setting), value, wanted);
		break;
	case SWITCH:
		err = set_switch(value_of(settings, setting), value, wanted);
		break;
	case USERS:
	case GROUPS:
		err = set_ids(setting->type, value_of(settings, setting), value, wanted);
		break;
	}
	if (!err)
		settings->given |= given_bit(setting);
	return err;
}

bool ipcfs_settings_is_given(const struct ipcfs_settings *settings, const char *name)
{
	const struct setting *setting = find_setting(name);

	return setting && setting->type != USERS && setting->type != GROUPS &&
	       (settings->given & given_bit(setting));
}

static int override(struct ipcfs_settings *to, const struct ipcfs_settings *from,
		    const struct setting *setting)
{
	const void *source = (const char *)from + setting->at;
	void *target = value_of(to, setting);

	switch (setting->type) {
	case COUNT:
		*(unsigned *)target = *(const unsigned *)source;
		break;
	case SIZE:
		*(size_t *)target = *(const size_t *)source;
		break;
	case SWITCH:
		*(bool *)target = *(const bool *)source;
		break;
	case USERS:
	case GROUPS:
		ids_free(target);
		return ipcfs_ids_copy(target, source);
	}
	return 0;
}

int ipcfs_settings_override(struct ipcfs_settings *to, const struct ipcfs_settings *from)
{
	int err = 0;

	to->read_only = from->read_only;
	for (size_t i = 0; !err && i < SETTINGS; i++)
		if (from->given & given_bit(&table[i]))
			err = override(to, from, &table[i]);
	to->given |= from->given;
	return err;
}

static int write_ids(const struct ipcfs_ids *ids, struct ipcfs_text *text)
{
	int err = 0;

	for (size_t i = 0; !err && i < ids->count; i++)
		err = ipcfs_text_printf(text, "%s%u", i ? ":" : "", ids->ids[i]);
	return err;
}

static int write_value(const struct ipcfs_settings *settings, const struct setting *setting,
		       struct ipcfs_text *text)
{
	const void *value = (const char *)settings + setting->at;

	switch (setting->type) {
	case COUNT:
		return ipcfs_text_printf(text, "%u", *(const unsigned *)value);
	case SIZE:
		return ipcfs_text_printf(text, "%zu", *(const size_t *)value);
	case SWITCH:
		return ipcfs_text_printf(text, "%s", *(const bool *)value ? "yes" : "no");
	case USERS:
	case GROUPS:
		return write_ids(value, text);
	}
	return 0;
}

int ipcfs_settings_write(const struct ipcfs_settings *settings, const char *prefix,
			 struct ipcfs_text *text)
{
	int err = 0;

	for (size_t i = 0; !err && i < SETTINGS; i++) {
		if (!(settings->given & given_bit(&table[i])))
			continue;
		err = ipcfs_text_printf(text, "%s%s=", prefix, table[i].name);
		if (!err)
			err = write_value(settings, &table[i], text);
		if (!err)
			err = ipcfs_text_add(text, "", 1);
	}
	return err;
}

void ipcfs_settings_help(void)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char option[32];

		snprintf(option, sizeof(option), "%s%s%s", table[i].name, table[i].value ? "=" : "",
			 table[i].value ? table[i].value : "");
		printf("    -o %-19s %s\n", option, table[i].help);
	}
}
