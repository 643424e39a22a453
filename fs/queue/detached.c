/* SPDX-License-Identifier: MIT */
#include "fs/queue/detached.h"

#include "backends/contract/fault.h"
#include "backends/contract/layout.h"
#include "fs/base/effects.h"
#include "fs/base/ledger.h"
#include "fs/base/legacy.h"

static struct {
	pthread_mutex_t lock;
	uint32_t next; /* an index that may be free */
} shelf = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint64_t ipcfs_detached_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct ipcfs_detached),
		offsetof(struct ipcfs_detached, order),
		offsetof(struct ipcfs_detached, kept),
		offsetof(struct ipcfs_detached, type),
		offsetof(struct ipcfs_detached, calls),
		offsetof(struct ipcfs_detached, object),
		offsetof(struct ipcfs_detached, uid),
		offsetof(struct ipcfs_detached, framing),
		offsetof(struct ipcfs_detached, last),
		offsetof(struct ipcfs_detached, first),
		offsetof(struct ipcfs_detached, returns),
		offsetof(struct ipcfs_detached, effects),
		IPCFS_FRAMING_NONE,
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

/* Puts an entry at a free index, which it returns. 0: there is no memory. */
static uint32_t put(struct ipcfs_ledger *ledger, const struct iovec *parts, int count)
{
	uint32_t index = 0;
	size_t size;

	pthread_mutex_lock(&shelf.lock);
	for (uint32_t tried = 1; !index && tried < IPCFS_TABLE_MAX; tried++) {
		shelf.next = shelf.next % (IPCFS_TABLE_MAX - 1) + 1;
		if (!ipcfs_ledger_at(ledger, IPCFS_LEDGER_DETACHED, shelf.next, &size))
			index = shelf.next;
	}
	if (index && ipcfs_ledger_put(ledger, IPCFS_LEDGER_DETACHED, index, parts, count))
		index = 0;
	pthread_mutex_unlock(&shelf.lock);
	return index;
}

/* Writes a message down. `unique`: of the request that hands it over, or 0. */
static void save(struct ipcfs_queue_waiter *waiter, uint64_t unique)
{
	const struct ipcfs_waiter *base = &waiter->base;
	struct ipcfs_detached entry = {
		.unique = unique,
		.kept = waiter->kept,
		.type = waiter->type,
		.calls = ipcfs_effects_made(),
		.object = base->object->number,
		.uid = base->uid,
		.framing = (uint8_t)waiter->framing,
		.last = waiter->last,
		.first = base->first,
		.returns = waiter->returns,
	};
	const struct iovec parts[] = {
		{ &entry, sizeof(entry) },
		{ waiter->data.data, waiter->data.size },
	};

	waiter->saved = 0;
	if (!base->fs->ledger || base->object->class->space)
		return;
	entry.order = atomic_fetch_add(&base->fs->legacy->arrivals, 1) + 1;
	waiter->saved = put(base->fs->ledger, parts, 2);
}

void ipcfs_detached_save(struct ipcfs_queue_waiter *waiter)
{
	save(waiter, 0);
}

bool ipcfs_detached_hand_over(struct ipcfs_queue_waiter *waiter)
{
	bool noted = ipcfs_effects_is_noted();

	if (noted && ipcfs_effects_call() == IPCFS_CALL_DONE)
		return false;
	save(waiter, noted ? ipcfs_unanswered_unique() : 0);
	(void)ipcfs_fault("detached.saved");
	if (waiter->saved)
		ipcfs_effects_called(true);
	(void)ipcfs_fault("detached.handed");
	return true;
}

struct ipcfs_effects *ipcfs_detached_effects(const struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_detached *entry = NULL;
	size_t size;

	if (waiter->saved)
		entry = ipcfs_ledger_at(waiter->base.fs->ledger, IPCFS_LEDGER_DETACHED,
					waiter->saved, &size);
	return entry ? &entry->effects : NULL;
}

void ipcfs_detached_drop(struct ipcfs_queue_waiter *waiter)
{
	if (waiter->saved)
		ipcfs_ledger_drop(waiter->base.fs->ledger, IPCFS_LEDGER_DETACHED, waiter->saved);
	waiter->saved = 0;
}
