/* SPDX-License-Identifier: MIT */
/*
 * The file of all lists of a store: records in slots of 64 bytes. A record is written where it does
 * not count, then one byte makes it count, then one byte makes the old one void: after a crash
 * there is the old record, or the new one, or both, and the one with the higher sequence counts.
 * To make a record void takes no room. Call all functions by one thread at a time.
 */
#ifndef IPCFS_ACL_LISTS_H
#define IPCFS_ACL_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/contract/text.h"

#define IPCFS_ACL_TEXT_MAX 16000 /* bytes of a record's text; the longest list takes less */

struct ipcfs_acl_lists {
	int fd;		/* -1: there is no file; owned */
	uint8_t *slots; /* 0: free; the first one of a record: how many it has; 255: the others */
	uint32_t count; /* of slots */
	bool loading;	/* slots behind `count` may have records */
	uint64_t sequence;
};

/* Where a record is. */
struct ipcfs_acl_place {
	uint32_t slot; /* 0: it is not in the file */
	uint64_t sequence;
};

/*
 * Calls `each` with the text of every record that counts in the file `fd`, which the struct takes
 * over. `each` returns 0, or 1: the record becomes void, or a negative errno, which ends the
 * loading and is returned.
 * -EIO: the file can't be read. -ENOMEM. Close with ipcfs_acl_lists_close, after an error too.
 */
int ipcfs_acl_lists_load(struct ipcfs_acl_lists *lists, int fd,
			 int (*each)(void *arg, const char *text,
				     const struct ipcfs_acl_place *place),
			 void *arg);
void ipcfs_acl_lists_close(struct ipcfs_acl_lists *lists);

/*
 * Writes a record in place of the one at *place, if there is one, and sets *place. Where no room is
 * left, it is written over the old one, if it is not longer.
 * After an error the old record is as before.
 * -ENOSPC, -EDQUOT: no room is left. -ENOMEM. Other errors of pwrite(2).
 */
int ipcfs_acl_lists_write(struct ipcfs_acl_lists *lists, const struct ipcfs_text *text,
			  struct ipcfs_acl_place *place);

/* Makes the record at *place void, if there is one, and sets *place. Errors of pwrite(2). */
int ipcfs_acl_lists_drop(struct ipcfs_acl_lists *lists, struct ipcfs_acl_place *place);

#endif
