/* SPDX-License-Identifier: MIT */
/*
 * What a worker leaves to its successor (daemon/supervisor.h), in memory that both share with the
 * supervisor. The worker alone writes it, by single words, so it can be killed at any moment.
 */
#ifndef IPCFS_LEGACY_H
#define IPCFS_LEGACY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/ledger.h"
#include "fs/base/slot.h"
#include "fs/base/table.h"

#define IPCFS_LEGACY_INIT 256	   /* bytes; the kernel's INIT request has 104 */
#define IPCFS_LEGACY_BACKINGS 4096 /* backing files that are known; more stay until the unmount */

struct ipcfs_legacy {
	uint64_t layout;		/* ipcfs_layout of the program that made it */
	_Atomic uint64_t nodes, files;	/* for ipcfs_table_continue */
	_Atomic size_t init_size;	/* 0: no worker has read INIT yet */
	char init[IPCFS_LEGACY_INIT];	/* the request as it was read */
	_Atomic size_t answer_size;	/* 0: it was not answered yet */
	char answer[IPCFS_LEGACY_INIT]; /* what the kernel was told */
	/*
	 * The kernel's ids of backing files, each in the place id % IPCFS_LEGACY_BACKINGS; or 0.
	 * While a worker begins: the negative id of one that goes on.
	 */
	_Atomic int32_t backings[IPCFS_LEGACY_BACKINGS];
	/* The kernel's number of a file's pollers, by the table's index of the file; 0: none. */
	_Atomic uint32_t polled; /* no higher index has one */
	_Atomic uint64_t polls[IPCFS_TABLE_MAX];
	/*
	 * Requests and open files go on with the next worker. Otherwise the kernel ends the
	 * requests, and the files are stale.
	 */
	bool keeps;
	bool dropped;		/* ipcfs_legacy_drop was called by this worker */
	_Atomic uint32_t begun; /* workers that have begun since one was ready */
	_Atomic uint32_t
		trial; /* the next worker is the first of another program: daemon/upgrade.h */
	_Atomic uint64_t arrivals; /* of requests */
	struct ipcfs_slot slots[IPCFS_SLOTS];
	struct ipcfs_ledger_memory ledger;
};

/*
 * Maps an empty legacy. Only what is written takes memory. *file is a descriptor of it, for
 * ipcfs_legacy_map, or -1 where it has none. NULL: there is no memory.
 */
struct ipcfs_legacy *ipcfs_legacy_create(bool keeps, uint64_t layout, int *file);

/*
 * Maps the legacy of this descriptor. NULL: there is no memory, or it is the legacy of a program
 * with another layout.
 */
struct ipcfs_legacy *ipcfs_legacy_map(int file, uint64_t layout);

/* Adds the layout of the legacy, of slots and of the ledger to a hash: see layout.h. */
uint64_t ipcfs_legacy_layout(uint64_t hash);

/*
 * Returns whether what was left is to be dropped: too many workers have died of it. In the trial of
 * another program it is not: the program before would not die of it.
 */
bool ipcfs_legacy_is_bad(const struct ipcfs_legacy *legacy);

/*
 * Drops objects, nodes and open files that a worker has left. Its requests are not handled again:
 * each gets EIO.
 */
void ipcfs_legacy_drop(struct ipcfs_legacy *legacy);

/* Notes what has to be known of a request that was read from /dev/fuse. */
void ipcfs_legacy_request(struct ipcfs_legacy *legacy, const void *request, size_t size);

/* Notes the answer to INIT. Returns whether it is the one that was given first. */
bool ipcfs_legacy_answer(struct ipcfs_legacy *legacy, const void *answer, size_t size);

/* Notes a backing file of the kernel, or that it was closed. NULL: there is no successor. */
void ipcfs_legacy_backing(struct ipcfs_legacy *legacy, int id);
void ipcfs_legacy_backing_closed(struct ipcfs_legacy *legacy, int id);

/* Notes that a backing file of a worker before goes on. 0: there is none. */
void ipcfs_legacy_backing_keep(struct ipcfs_legacy *legacy, int id);

/*
 * Wakes everyone who polls a file of a worker that has ended: they ask again, and learn that the
 * file is gone. `device` is the connection.
 */
void ipcfs_legacy_wake_pollers(struct ipcfs_legacy *legacy, int device);

#endif
