/* SPDX-License-Identifier: MIT */
/* The lines of /proc/PID/maps (proc(5)), piece by piece: a process may have thousands. Pure. */
#ifndef IPCFS_USERS_MAPS_H
#define IPCFS_USERS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_MAPS_LINE 128 /* bytes of a line that tell all but the rest of a path */

/* A mapping of a file. */
struct ipcfs_mapping {
	dev_t device;
	uint64_t inode;
	bool attached; /* the path is that of a System V segment */
};

/* How far the reading has got. A zeroed struct is the start. */
struct ipcfs_maps {
	char line[IPCFS_MAPS_LINE]; /* the start of the line */
	size_t size;		    /* bytes of it so far */
};

/*
 * Goes on with the next bytes: calls each(arg) for every mapping of a file whose line has ended. A
 * path has no newline, as the kernel escapes them. A line of another form is passed over. Ends
 * early with the result of `each` when that is not 0.
 */
int ipcfs_maps_feed(struct ipcfs_maps *maps, const char *bytes, size_t size,
		    int (*each)(void *arg, const struct ipcfs_mapping *mapping), void *arg);

#endif
