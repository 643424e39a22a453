/* SPDX-License-Identifier: MIT */
/*
 * What a worker leaves to its successor (daemon/supervisor.h), in memory that both share with the
 * supervisor. The worker alone writes it, by single words, so it can be killed at any moment. Nothing
 * in it is a message, a name or a right.
 */
#ifndef IPCFS_LEGACY_H
#define IPCFS_LEGACY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/table.h"

#define IPCFS_LEGACY_INIT 256	   /* bytes; the kernel's INIT request has 104 */
#define IPCFS_LEGACY_BACKINGS 4096 /* backing files that are known; more stay until the unmount */

struct ipcfs_legacy {
	_Atomic uint64_t nodes, files; /* for ipcfs_table_continue */
	_Atomic size_t init_size;      /* 0: no worker has read INIT yet */
	char init[IPCFS_LEGACY_INIT];  /* the request as it was read */
	/* The kernel's ids of backing files, each in the place id % IPCFS_LEGACY_BACKINGS; or 0. */
	_Atomic int32_t backings[IPCFS_LEGACY_BACKINGS];
	/* The kernel's number of a file's pollers, by the table's index of the file; 0: none. */
	_Atomic uint32_t polled; /* no higher index has one */
	_Atomic uint64_t polls[IPCFS_TABLE_MAX];
};

/* Maps an empty legacy. Only what is written takes memory. NULL: there is none. */
struct ipcfs_legacy *ipcfs_legacy_create(void);

/* Notes what has to be known of a request that was read from /dev/fuse. */
void ipcfs_legacy_request(struct ipcfs_legacy *legacy, const void *request, size_t size);

/* Notes a backing file of the kernel, or that it was closed. NULL: there is no successor. */
void ipcfs_legacy_backing(struct ipcfs_legacy *legacy, int id);
void ipcfs_legacy_backing_closed(struct ipcfs_legacy *legacy, int id);

/*
 * Wakes everyone who polls a file of a worker that has ended: they ask again, and learn that the file
 * is gone. `device` is the connection.
 */
void ipcfs_legacy_wake_pollers(struct ipcfs_legacy *legacy, int device);

#endif
