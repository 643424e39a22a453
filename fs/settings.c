/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "number.h"

#define WAITERS_DEFAULT 2048
#define WAITERS_ALL_DEFAULT 8192
#define OPENS_DEFAULT 16384
#define COUNT_MAX 1000000
#define IDS_MAX 4096
#define ID_MAX 4294967294 /* the one above means "none" in system calls */

enum type { COUNT, SWITCH, IDS };

static const struct setting {
	const char *name;
	enum type type;
	size_t at;	   /* in struct ipcfs_settings */
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
	{ "max_objects", COUNT, offsetof(struct ipcfs_settings, max_objects), 0, "N",
	  "objects of one user, when making another, 0: any (0)" },
	{ "rate", COUNT, offsetof(struct ipcfs_settings, rate), 0, "N",
	  "requests of one user in a second, 0: any number (0)" },
	{ "allow_uid", IDS, offsetof(struct ipcfs_settings, allow_uid), 0, "UID[:...]",
	  "only these users may use the mount," },
	{ "allow_gid", IDS, offsetof(struct ipcfs_settings, allow_gid), 0, "GID[:...]",
	  "and the members of these groups" },
	{ "hide", SWITCH, offsetof(struct ipcfs_settings, hide), 0, NULL,
	  "don't show users what they may neither read nor write" },
};
#define SETTINGS (sizeof(table) / sizeof(*table))

_Static_assert(SETTINGS <= 32, "one bit each in `given`");

static const struct setting *find(const char *name)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(name, table[i].name) == 0)
			return &table[i];
	return NULL;
}

static uint32_t bit(const struct setting *setting)
{
	return (uint32_t)1 << (setting - table);
}

static void *place(struct ipcfs_settings *settings, const struct setting *setting)
{
	return (char *)settings + setting->at;
}

/* Nobody shall have more than a quarter of the descriptors: an open file may take two. */
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

/* Where it is, or would have to stand. */
static size_t ids_find(const struct ipcfs_ids *ids, uint32_t id)
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
	size_t at = ids_find(ids, id);

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
	size_t at = ids_find(ids, id);
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

static int parse_ids(struct ipcfs_ids *ids, const char *text)
{
	static const char separators[] = ":, \t";
	size_t found = 0;
	int err = 0;

	for (text += strspn(text, separators); !err && *text; found++) {
		size_t size = strcspn(text, separators);
		long id;

		if (ipcfs_number_parse(text, size, 0, ID_MAX, &id))
			return -EINVAL;
		err = ids_add(ids, (uint32_t)id);
		text += size;
		text += strspn(text, separators);
	}
	/* A list of nobody would be a mount for everybody. */
	return !err && found == 0 ? -EINVAL : err;
}

static int set_ids(struct ipcfs_ids *ids, const char *value, const char **wanted)
{
	struct ipcfs_ids grown;
	int err;

	*wanted = "a list of numeric ids is wanted, such as 0:1000";
	if (!value)
		return -EINVAL;
	err = ipcfs_ids_copy(&grown, ids);
	if (!err)
		err = parse_ids(&grown, value);
	if (err) {
		ids_free(&grown);
		return err;
	}
	ids_free(ids);
	*ids = grown;
	return 0;
}

static int set_count(unsigned *count, const char *value, long least, const char **wanted)
{
	long number;

	*wanted = least ? "a number from 1 to 1000000 is wanted"
			: "a number from 0 to 1000000 is wanted";
	if (!value || ipcfs_number_parse(value, strlen(value), least, COUNT_MAX, &number))
		return -EINVAL;
	*count = (unsigned)number;
	return 0;
}

static int set_switch(bool *on, const char *value, const char **wanted)
{
	*wanted = "yes or no is wanted";
	if (!value || strcmp(value, "yes") == 0)
		*on = true;
	else if (strcmp(value, "no") == 0)
		*on = false;
	else
		return -EINVAL;
	return 0;
}

int ipcfs_settings_set(struct ipcfs_settings *settings, const char *name, const char *value,
		       const char **wanted)
{
	const struct setting *setting = find(name);
	int err = -ENOENT;

	if (!setting)
		return err;
	switch (setting->type) {
	case COUNT:
		err = set_count(place(settings, setting), value, setting->least, wanted);
		break;
	case SWITCH:
		err = set_switch(place(settings, setting), value, wanted);
		break;
	case IDS:
		err = set_ids(place(settings, setting), value, wanted);
		break;
	}
	if (!err)
		settings->given |= bit(setting);
	return err;
}

bool ipcfs_settings_is_given(const struct ipcfs_settings *settings, const char *name)
{
	const struct setting *setting = find(name);

	return setting && setting->type != IDS && (settings->given & bit(setting));
}

static int override(struct ipcfs_settings *to, const struct ipcfs_settings *from,
		    const struct setting *setting)
{
	const void *source = (const char *)from + setting->at;
	void *target = place(to, setting);

	switch (setting->type) {
	case COUNT:
		*(unsigned *)target = *(const unsigned *)source;
		break;
	case SWITCH:
		*(bool *)target = *(const bool *)source;
		break;
	case IDS:
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
		if (from->given & bit(&table[i]))
			err = override(to, from, &table[i]);
	to->given |= from->given;
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
