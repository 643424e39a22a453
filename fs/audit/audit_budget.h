/* SPDX-License-Identifier: MIT */
/*
 * The number of records that one uid may cause: a token bucket for each uid, in a table of fixed
 * size. Records beyond are counted. Has no lock: the caller holds one.
 */
#ifndef IPCFS_AUDIT_BUDGET_H
#define IPCFS_AUDIT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_AUDIT_RATE 200   /* records a second */
#define IPCFS_AUDIT_BURST 1000 /* records at once */
#define IPCFS_AUDIT_UIDS 256   /* with a bucket of their own */

struct ipcfs_audit_budget {
	uid_t uid;
	bool used;
	uint64_t at;	     /* ms: the time of which `tokens` is */
	uint32_t tokens;     /* thousandths of a record */
	uint64_t suppressed; /* records that were counted only */
};

/* All zeros: nothing was spent. The last entry is shared by all uids that find no free one. */
struct ipcfs_audit_budgets {
	struct ipcfs_audit_budget entries[IPCFS_AUDIT_UIDS + 1];
	bool any_suppressed;
};

/*
 * Spends one record of this uid at the time `now`, in ms of a clock that never goes back. False:
 * its budget is used up, and the record is counted.
 */
bool ipcfs_audit_spend(struct ipcfs_audit_budgets *budgets, uid_t uid, uint64_t now);

/*
 * Takes the next count of records that were not made, and resets it. False: there is no other.
 * *shared: it is that of several uids. Set *at to 0 before the first call of a series.
 */
bool ipcfs_audit_take_count(struct ipcfs_audit_budgets *budgets, unsigned *at, uid_t *uid,
			    bool *shared, uint64_t *count);

#endif
