/* SPDX-License-Identifier: MIT */
#include "audit_budget.h"

#include <stddef.h>

#define RECORD 1000 /* thousandths */
#define FULL (IPCFS_AUDIT_BURST * RECORD)
#define FULL_AFTER (FULL / IPCFS_AUDIT_RATE) /* ms */

static void fill_up(struct ipcfs_audit_budget *budget, uint64_t now)
{
	uint64_t passed = now > budget->at ? now - budget->at : 0;

	/* a record in a second is a thousandth in a millisecond */
	if (passed >= FULL_AFTER || budget->tokens + passed * IPCFS_AUDIT_RATE > FULL)
		budget->tokens = FULL;
	else
		budget->tokens += (uint32_t)passed * IPCFS_AUDIT_RATE;
	budget->at = now;
}

/* Nobody would notice if it began anew: it is full again, and has nothing to tell. */
static bool is_idle(const struct ipcfs_audit_budget *budget, uint64_t now)
{
	return !budget->used || (!budget->suppressed && now - budget->at >= FULL_AFTER);
}

static struct ipcfs_audit_budget *place_of(struct ipcfs_audit_budgets *budgets, uid_t uid,
					   uint64_t now)
{
	struct ipcfs_audit_budget *idle = NULL, *place;

	for (place = budgets->places; place < budgets->places + IPCFS_AUDIT_UIDS; place++) {
		if (place->used && place->uid == uid)
			return place;
		if (!idle && is_idle(place, now))
			idle = place;
	}
	if (!idle)
		idle = place; /* the shared one */
	if (idle != place || !idle->used)
		*idle = (struct ipcfs_audit_budget){
			.uid = uid, .used = true, .at = now, .tokens = FULL
		};
	return idle;
}

bool ipcfs_audit_spend(struct ipcfs_audit_budgets *budgets, uid_t uid, uint64_t now)
{
	struct ipcfs_audit_budget *budget = place_of(budgets, uid, now);

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
		struct ipcfs_audit_budget *budget = &budgets->places[*at];

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
