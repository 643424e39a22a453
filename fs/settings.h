/* SPDX-License-Identifier: MIT */
/*
 * What can be set: on the command line (-o name=value) and, with the same names, in a configuration
 * file. One table knows the names, what each wants, and its default. Pure, but for the limit on
 * descriptors that a default depends on.
 */
#ifndef IPCFS_SETTINGS_H
#define IPCFS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* User or group ids, ascending, each once. */
struct ipcfs_ids {
	uint32_t *ids; /* owned */
	size_t count;
};

/* What the file system itself wants to know. */
struct ipcfs_settings {
	bool read_only; /* -o ro: opening what would consume is EROFS; the command line's alone */

	/* who may use the mount; everybody where both are empty */
	struct ipcfs_ids allow_uid, allow_gid;
	/* of each uid; where nothing else is said, 0 is no limit */
	unsigned max_waiters;	  /* parked requests, at least 1 */
	unsigned max_waiters_all; /* parked requests of all uids together, at least 1 */
	unsigned max_opens;	  /* open files and directories */
	unsigned max_objects;	  /* objects that it made, or (POSIX) owns */
	unsigned rate;		  /* requests per second */
	bool hide; /* who may neither read nor write an object, nor owns it, does not see it */

	uint32_t given; /* what was set, by its place in the table */
};

#define IPCFS_RATE_MAX 1000000 /* requests per second; more is no limit */

/* All as it is where nothing is said. Freed with ipcfs_settings_free. */
void ipcfs_settings_init(struct ipcfs_settings *settings);
void ipcfs_settings_free(struct ipcfs_settings *settings);

/*
 * Set one. Numbers and switches are replaced, lists grow. `value` is NULL where there was no '='
 * (a switch is then on). -ENOENT: there is no such name. -EINVAL: not such a value, *wanted (a static
 * string) says what is wanted. -E2BIG: the list is too long. -ENOMEM. Nothing is changed then.
 */
int ipcfs_settings_set(struct ipcfs_settings *settings, const char *name, const char *value,
		       const char **wanted);

/* Was this one, that is no list, set already? */
bool ipcfs_settings_is_given(const struct ipcfs_settings *settings, const char *name);

/* Whatever is given in `from` replaces what `to` has. -ENOMEM: *to is to be freed. */
int ipcfs_settings_override(struct ipcfs_settings *to, const struct ipcfs_settings *from);

bool ipcfs_ids_have(const struct ipcfs_ids *ids, uint32_t id);
int ipcfs_ids_copy(struct ipcfs_ids *to, const struct ipcfs_ids *from);

/* The lines of --help about these. */
void ipcfs_settings_help(void);

#endif
