/* SPDX-License-Identifier: MIT */
/*
 * Who lives in which IPC namespace, as it was found the last time all processes were looked at: so that many
 * questions in a row take one look. What it says is to be checked by who asks, and is old news when it is
 * told that nobody is there.
 */
#ifndef IPCFS_CENSUS_H
#define IPCFS_CENSUS_H

#include "../backends/backend.h"

struct ipcfs_census;

/* NULL: no memory. */
struct ipcfs_census *ipcfs_census_new(void);
void ipcfs_census_free(struct ipcfs_census *census);

/*
 * The oldest process that is in this namespace, of those that belong there (authority NULL: of all). 0: none. Looks at
 * all processes anew where nobody is known to be there, but not more often than 50 times a second.
 */
pid_t ipcfs_census_oldest(struct ipcfs_census *census, uint64_t inode,
			  const struct ipcfs_authority *authority);

/* Look at all processes now, and call `each` for every namespace and somebody in it; ends early with its result when not 0. -errno. */
int ipcfs_census_list(struct ipcfs_census *census,
		      int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg);

#endif
