/* SPDX-License-Identifier: MIT */
#include "fs/tree/deliveries.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fs/access/quota.h"

/* FNV-1a: a user that makes two texts with one hash confuses the counts of its own messages. */
struct ipcfs_message_mark ipcfs_message_mark(long type, const char *text, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
	return (struct ipcfs_message_mark){ .type = type, .size = size, .hash = hash };
}

static bool is_same(const struct ipcfs_message_mark *a, const struct ipcfs_message_mark *b)
{
	return a->type == b->type && a->size == b->size && a->hash == b->hash;
}

/* Returns the index of the message, or deliveries->count. */
static size_t index_of(const struct ipcfs_deliveries *deliveries,
		       const struct ipcfs_message_mark *mark)
{
	size_t at = 0;

	while (at < deliveries->count && !is_same(&deliveries->items[at].mark, mark))
		at++;
	return at;
}

uint64_t ipcfs_deliveries_of(const struct ipcfs_deliveries *deliveries,
			     const struct ipcfs_message_mark *mark)
{
	size_t at = index_of(deliveries, mark);

	return at < deliveries->count ? deliveries->items[at].count : 0;
}

/* Removes the item of this index, and releases what is charged for it. */
static void remove_at(struct ipcfs_deliveries *deliveries, size_t at, struct ipcfs_quota *quota)
{
	struct ipcfs_delivery *items = deliveries->items;

	if (quota)
		ipcfs_quota_release(quota, items[at].uid, sizeof(*items));
	deliveries->count--;
	memmove(&items[at], &items[at + 1], (deliveries->count - at) * sizeof(*items));
}

void ipcfs_deliveries_note(struct ipcfs_deliveries *deliveries,
			   const struct ipcfs_delivery *delivery, struct ipcfs_quota *quota)
{
	struct ipcfs_delivery *items;

	ipcfs_deliveries_drop(deliveries, &delivery->mark, quota);
	if (deliveries->count == IPCFS_DELIVERIES_MAX)
		remove_at(deliveries, 0, quota);
	if (quota && ipcfs_quota_charge(quota, delivery->uid, sizeof(*items)))
		return;
	items = reallocarray(deliveries->items, deliveries->count + 1, sizeof(*items));
	if (!items) {
		if (quota)
			ipcfs_quota_release(quota, delivery->uid, sizeof(*items));
		return;
	}
	deliveries->items = items;
	items[deliveries->count++] = *delivery;
}

void ipcfs_deliveries_drop(struct ipcfs_deliveries *deliveries,
			   const struct ipcfs_message_mark *mark, struct ipcfs_quota *quota)
{
	size_t at = index_of(deliveries, mark);

	if (at < deliveries->count)
		remove_at(deliveries, at, quota);
}

void ipcfs_deliveries_free(struct ipcfs_deliveries *deliveries, struct ipcfs_quota *quota)
{
	while (deliveries->count)
		remove_at(deliveries, deliveries->count - 1, quota);
	free(deliveries->items);
	deliveries->items = NULL;
}
