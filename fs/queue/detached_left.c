/* SPDX-License-Identifier: MIT */
#include "fs/queue/detached_left.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>
#include <utlist.h>

#include "fs/base/effects.h"
#include "fs/base/ledger.h"
#include "fs/base/log.h"
#include "fs/queue/detached.h"
#include "fs/queue/transfer.h"
#include "fs/request/lease_item.h"

static struct ipcfs_detached *entry_at(const struct ipcfs_filesystem *fs, uint32_t index,
				       size_t *size)
{
	return ipcfs_ledger_at(fs->ledger, IPCFS_LEDGER_DETACHED, index, size);
}

/* Returns whether an open file has the message of this number leased. */
static bool is_leased(const struct ipcfs_object *object, uint64_t kept)
{
	const struct ipcfs_lease *lease = NULL;

	if (kept)
		DL_SEARCH_SCALAR(object->queue.leases, lease, kept, kept);
	return lease != NULL;
}

/* Returns whether the message is the daemon's to send. */
static bool is_handed_over(const struct ipcfs_filesystem *fs, const struct ipcfs_detached *entry,
			   size_t size)
{
	const struct ipcfs_object *object;

	if (size < sizeof(*entry) || entry->framing > IPCFS_FRAMING_NONE)
		return false;
	object = ipcfs_object_at(&fs->objects, entry->object);
	if (!object || !object->class->queue || is_leased(object, entry->kept))
		return false;
	return !entry->unique || ipcfs_unanswered_has_made(entry->unique, entry->calls);
}

void ipcfs_detached_hold(struct ipcfs_filesystem *fs)
{
	for (uint32_t i = 0; (i = ipcfs_ledger_next(fs->ledger, IPCFS_LEDGER_DETACHED, i)) != 0;) {
		size_t size;
		const struct ipcfs_detached *entry = entry_at(fs, i, &size);

		if (is_handed_over(fs, entry, size))
			ipcfs_object_ref(&fs->objects,
					 ipcfs_object_at(&fs->objects, entry->object));
		else
			ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_DETACHED, i);
	}
}

/* A message that was left. */
struct left {
	uint64_t order;
	uint32_t index;
};

static int compare(const void *one, const void *other)
{
	const struct left *a = one, *b = other;

	return (a->order > b->order) - (a->order < b->order);
}

/* Returns what was left, in its order. NULL: nothing, or no memory. */
static struct left *list(const struct ipcfs_filesystem *fs, size_t *count)
{
	struct ipcfs_text found = { 0 };
	int err = 0;

	for (uint32_t i = 0; (i = ipcfs_ledger_next(fs->ledger, IPCFS_LEDGER_DETACHED, i)) != 0;) {
		size_t size;
		const struct left one = { entry_at(fs, i, &size)->order, i };

		if (!err)
			err = ipcfs_text_add(&found, &one, sizeof(one));
	}
	if (err)
		ipcfs_log(LOG_ERR, "messages that were to be sent later are lost: no memory");
	*count = err ? 0 : found.size / sizeof(struct left);
	if (*count)
		qsort(found.data, *count, sizeof(struct left), compare);
	return (struct left *)(void *)found.data;
}

/* Returns whether the queue has the message, or is gone. `handle`: of the queue; -1: it is gone. */
static bool is_done(const struct ipcfs_queue_waiter *waiter, struct ipcfs_detached *entry,
		    int handle)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	bool sent = ipcfs_effects_end(&entry->effects) == IPCFS_EFFECTS_HAD || handle < 0;

	if (!waiter->kept)
		return sent;
	if (!queue->kept(handle, waiter->kept))
		return true; /* it was sent, and is forgotten */
	if (sent)
		queue->forget(waiter->kept);
	return sent;
}

/* Sends a message on. `handle` as of is_done. */
static void send_on(struct ipcfs_queue_waiter *waiter, struct ipcfs_detached *entry, size_t size,
		    int handle)
{
	struct ipcfs_waiter *base = &waiter->base;

	if (is_done(waiter, entry, handle)) {
		ipcfs_detached_drop(waiter);
		return;
	}
	if (ipcfs_text_add(&waiter->data, (const char *)(entry + 1), size - sizeof(*entry)))
		return; /* the next worker may have memory */
	base->charged = ipcfs_quota_charge_kept(base->fs->quota, base->uid,
						waiter->data.capacity +
							(waiter->kept ? IPCFS_LEASE_BYTES : 0));
	ipcfs_transfer_send_detached(waiter);
}

/* Sends the message of an entry, and drops the reference to its object. */
static void send_left(struct ipcfs_filesystem *fs, uint32_t index)
{
	size_t size;
	struct ipcfs_detached *entry = entry_at(fs, index, &size);
	struct ipcfs_object *object = ipcfs_object_at(&fs->objects, entry->object);
	struct ipcfs_queue_waiter waiter = {
		.base = { .fs = fs, .object = object, .uid = entry->uid, .first = entry->first },
		.type = (long)entry->type,
		.kept = entry->kept,
		.saved = index,
		.framing = entry->framing,
		.last = entry->last,
		.returns = entry->returns,
	};
	int handle, err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);

	if (!err)
		send_on(&waiter, entry, size, handle);
	else if (err == -ENOENT || err == -ESTALE || err == -EIDRM)
		send_on(&waiter, entry, size, -1);
	if (!err)
		ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	ipcfs_object_unref(&fs->objects, object);
}

void ipcfs_detached_send_left(struct ipcfs_filesystem *fs)
{
	struct left *left;
	size_t count;

	if (!fs->ledger)
		return;
	left = list(fs, &count);
	for (size_t i = 0; i < count; i++)
		send_left(fs, left[i].index);
	free(left);
}
