/* SPDX-License-Identifier: MIT */
#include "fs/audit/audit_budget.h"

#include <stddef.h>

#define RECORD 1000 /* tokens: thousandths of a record */
#define FULL (IPCFS_AUDIT_BURST * RECORD)
#define FULL_AFTER (FULL / IPCFS_AUDIT_RATE) /* ms */

static void fill_up(struct ipcfs_audit_budget *budget, uint64_t now)
{
	uint64_t passed = now > budget->at ? now - budget->at : 0;

	/* One record in a second is one token in a millisecond. */
	if (passed >= FULL_AFTER || budget->tokens + passed * IPCFS_AUDIT_RATE > FULL)
		budget->tokens = FULL;
	else
		budget->tokens += (uint32_t)passed * IPCFS_AUDIT_RATE;
	budget->at = now;
}

/*
 * Tells whether an entry can be given to another uid: its bucket is full, and nothing was counted.
 */
static bool is_idle(const struct ipcfs_audit_budget *budget, uint64_t now)
{
	return !budget->used || (!budget->suppressed && now - budget->at >= FULL_AFTER);
}

/* Returns the entry of the uid: its own one, a free one, or the shared one. */
static struct ipcfs_audit_budget *find_budget(struct ipcfs_audit_budgets *budgets, uid_t uid,
					      uint64_t now)
{
	struct ipcfs_audit_budget *idle = NULL, *entry;

	for (entry = budgets->entries; entry < budgets->entries + IPCFS_AUDIT_UIDS; entry++) {
		if (entry->used && entry->uid == uid)
			return entry;
		if (!idle && is_idle(entry, now))
			idle = entry;
	}
	if (!idle)
		idle = entry; /* the shared one */
	if (idle != entry || !idle->used)
		*idle = (struct ipcfs_audit_budget){
			.uid = uid, .used = true, .at = now, .tokens = FULL
		};
	return idle;
}

bool ipcfs_audit_spend(struct ipcfs_audit_budgets *budgets, uid_t uid, uint64_t now)
{
	struct ipcfs_audit_budget *budget = find_budget(budgets, uid, now);

	fill_up(budget, now);
	if (budget->tokens >= RECORD) {
		budget->tokens -= RECORD;
		return true;
	}
	budget->suppressed++;
	budgets->any_suppressed = true;
	return false;
}

bool ipcfs_audit_take_count(struct ipcfs_audit_budgets *budgets, unsigned *at, uid_t *uid,
			    bool *shared, uint64_t *count)
{
	for (; *at <= IPCFS_AUDIT_UIDS; (*at)++) {
		struct ipcfs_audit_budget *budget = &budgets->entries[*at];

		if (!budget->suppressed)
			continue;
		*uid = budget->uid;
		*shared = *at == IPCFS_AUDIT_UIDS;
		*count = budget->suppressed;
		budget->suppressed = 0;
		(*at)++;
		return true;
	}
	budgets->any_suppressed = false;
	return false;
}
