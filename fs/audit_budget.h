/* SPDX-License-Identifier: MIT */
/*
 * How many records a user may cause: a token bucket for each uid, in a table of fixed size. What goes
 * beyond is counted. Not locked.
 */
#ifndef IPCFS_AUDIT_BUDGET_H
#define IPCFS_AUDIT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_AUDIT_RATE 200 /* records a second */
#define IPCFS_AUDIT_BURST 1000
#define IPCFS_AUDIT_UIDS 256

struct ipcfs_audit_budget {
	uid_t uid;
	bool used;
	uint64_t at;	 /* ms: when tokens was right */
	uint32_t tokens; /* thousandths of a record */
	uint64_t suppressed;
};

/* A zeroed one is valid. The last place is shared by all who find no other. */
struct ipcfs_audit_budgets {
	struct ipcfs_audit_budget places[IPCFS_AUDIT_UIDS + 1];
	bool any_suppressed;
};

/* May this uid cause one more record, at this time (ms, of a clock that never goes back)? Else it is counted. */
bool ipcfs_audit_spend(struct ipcfs_audit_budgets *budgets, uid_t uid, uint64_t now);

/*
 * Take one count: false when there is none left. *shared: it is that of several uids. *at is 0 at first
 * and where to go on then.
 */
bool ipcfs_audit_take_count(struct ipcfs_audit_budgets *budgets, unsigned *at, uid_t *uid,
			    bool *shared, uint64_t *count);

#endif
