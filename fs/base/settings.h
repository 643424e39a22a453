/* SPDX-License-Identifier: MIT */
/*
 * The settings, which have the same names on the command line (-o NAME=VALUE) and in a
 * configuration file. One table has the name, the type and the help of each. Pure functions, except
 * that the default of max_opens depends on RLIMIT_NOFILE, and that names of users and groups are
 * looked up.
 */
#ifndef IPCFS_SETTINGS_H
#define IPCFS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/contract/text.h"

/* User or group ids, in ascending order, without duplicates. */
struct ipcfs_ids {
	uint32_t *ids; /* owned */
	size_t count;
};

/* The settings that the file system uses. */
struct ipcfs_settings {
	bool read_only; /* -o ro: nothing can be sent, received or changed; command line only */

	/* only these users, and members of these groups, may use the mount; both empty: all */
	struct ipcfs_ids allow_uid, allow_gid;
	/* Limits for each uid. 0: no limit, unless a minimum is given here. */
	unsigned max_waiters;	  /* parked requests, at least 1 */
	unsigned max_waiters_all; /* parked requests of all uids together, at least 1 */
	unsigned max_opens;	  /* open files and directories */
	unsigned max_leases;	  /* leased messages */
	unsigned max_objects;	  /* objects that the uid made, or (POSIX) owns */
	unsigned rate;		  /* requests per second */
	size_t max_bytes;	  /* bytes of the daemon's memory that are kept for the uid */

	/* A caller does not see an object that it may neither read nor write, and does not own. */
	bool hide;

	uint32_t given; /* which ones were set: a bit for each, by its index in the table */
};

#define IPCFS_RATE_MAX 1000000 /* requests per second; a larger number is refused */

#define IPCFS_SETTINGS_WANTED 128 /* bytes of the text that says why a value is wrong */

/* Sets every setting to its default. Free with ipcfs_settings_free. */
void ipcfs_settings_init(struct ipcfs_settings *settings);
void ipcfs_settings_free(struct ipcfs_settings *settings);

/* Returns whether the settings let in only some: allow_uid or allow_gid is given. */
bool ipcfs_settings_are_listed(const struct ipcfs_settings *settings);

/*
 * Sets one setting: a number or a switch is replaced, ids are added to a list. `value` is NULL if
 * there was no '='; a switch is then on. Names in a list of ids are looked up now, in passwd(5) or
 * group(5) and what else nsswitch.conf(5) names. After an error nothing is changed.
 *   -ENOENT: there is no setting of this name.
 *   -EINVAL: the value is wrong; `wanted` says which values are accepted, or which name is unknown.
 *   -E2BIG: the list is too long.
 *   -ENOMEM
 */
int ipcfs_settings_set(struct ipcfs_settings *settings, const char *name, const char *value,
		       char wanted[IPCFS_SETTINGS_WANTED]);

/* Tells whether a setting that is not a list was set already. */
bool ipcfs_settings_is_given(const struct ipcfs_settings *settings, const char *name);

/* Copies every setting that was set in `from`, and read_only, to `to`. -ENOMEM: free `to`. */
int ipcfs_settings_override(struct ipcfs_settings *to, const struct ipcfs_settings *from);

/*
 * Appends each setting that was set, as PREFIX, NAME=VALUE and a NUL, for ipcfs_settings_set.
 * -ENOMEM
 */
int ipcfs_settings_write(const struct ipcfs_settings *settings, const char *prefix,
			 struct ipcfs_text *text);

/* Tells whether the list has this id. */
bool ipcfs_ids_have(const struct ipcfs_ids *ids, uint32_t id);

/* Copies a list; the old value of `to` is not freed. -ENOMEM: `to` is empty. */
int ipcfs_ids_copy(struct ipcfs_ids *to, const struct ipcfs_ids *from);

/* Prints the lines of --help about the settings. */
void ipcfs_settings_help(void);

#endif
