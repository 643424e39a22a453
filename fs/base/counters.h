/* SPDX-License-Identifier: MIT */
/*
 * What the daemon has done since it started, as the file `metrics` tells it. The process has one
 * mount, and so one set of counters. Each is an atomic number that no other memory depends on:
 * counting takes no lock, and numbers that are read together may be of different moments.
 */
#ifndef IPCFS_COUNTERS_H
#define IPCFS_COUNTERS_H

#include <stdint.h>

enum ipcfs_counted {
	IPCFS_COUNTED_REQUESTS, /* that the kernel sent, by operation */
	IPCFS_COUNTED_ERRORS,	/* that answered requests, by error */
	IPCFS_COUNTED_DENIED,	/* decisions against a caller, by the rule that decided */
	IPCFS_COUNTED_LOST,	/* records of the audit that were not written, by reason */
	IPCFS_COUNTED_EVENTS,	/* told while somebody read `events`, by word */
};

/* Counts a request with this opcode of FUSE. */
void ipcfs_count_request(uint32_t opcode);

/* Counts an answer with this error, a negative errno. 0: counts nothing. */
void ipcfs_count_error(int err);

/* Count by a static word: the rule that decided (NULL: none is known), and the audit's reason. */
void ipcfs_count_denied(const char *reason);
void ipcfs_count_lost(const char *reason);

/* Count an event by its word, and those that one reader was too late for. */
void ipcfs_count_event(const char *word);
void ipcfs_count_events_lost(uint64_t events);

/* Returns the label under which `what` is counted: "op", "errno", "reason" or "event". */
const char *ipcfs_counters_label(enum ipcfs_counted what);

/*
 * Calls `each` with the words under which `what` is counted, in a fixed order, and their counts.
 * Errors that never occurred are left out. Ends early when `each` returns other than 0. Returns
 * its last result.
 */
int ipcfs_counters_each(enum ipcfs_counted what,
			int (*each)(void *arg, const char *word, uint64_t count), void *arg);

#endif
