/* SPDX-License-Identifier: MIT */
/*
 * Holds in the ledger (base/ledger.h). Each has an entry from before the call that takes it until
 * after the one that gives it back. How many holds of a semaphore are out, its class knows; that
 * tells the next worker whether such a call was made. Of several calls on one semaphore it does not
 * matter which were: one hold is like the other.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "backends/contract/layout.h"
#include "fs/base/unanswered.h"
#include "fs/semaphore/hold.h"
#include "fs/semaphore/hold_inside.h"

/* Holds that wait for the requests that take them. Each has its object, and that open. */
static struct {
	pthread_mutex_t lock;
	struct ipcfs_hold *_Atomic first; /* changed with the lock held */
} orphans = { .lock = PTHREAD_MUTEX_INITIALIZER };

int ipcfs_holds_init(struct ipcfs_filesystem *fs)
{
	return ipcfs_table_init(&fs->holds, sizeof(struct ipcfs_hold));
}

uint64_t ipcfs_hold_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct ipcfs_hold_entry),
		offsetof(struct ipcfs_hold_entry, file),
		offsetof(struct ipcfs_hold_entry, request),
		offsetof(struct ipcfs_hold_entry, object),
		offsetof(struct ipcfs_hold_entry, state),
		offsetof(struct ipcfs_hold_entry, dead),
		offsetof(struct ipcfs_hold_entry, opener_died),
		offsetof(struct ipcfs_hold_entry, unseen),
		offsetof(struct ipcfs_holder, pid),
		offsetof(struct ipcfs_holder, taker),
		offsetof(struct ipcfs_holder, uid),
		offsetof(struct ipcfs_holder, gid),
		offsetof(struct ipcfs_holder, since),
		offsetof(struct ipcfs_holder, generation),
		IPCFS_HOLD_DROPPING,
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

struct ipcfs_hold *ipcfs_hold_new(struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	uint32_t index;
	struct ipcfs_hold *hold = ipcfs_table_new(&fs->holds, &index);

	if (!hold)
		return NULL;
	hold->index = index;
	hold->is.file = file->number;
	hold->is.object = file->key.object;
	hold->is.holder.pid = file->opener.tid;
	hold->is.holder.uid = file->opener.uid;
	hold->is.holder.gid = file->opener.gid;
	return hold;
}

void ipcfs_hold_free(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	if (!hold)
		return;
	if (fs->ledger)
		ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_HOLDS, hold->index);
	ipcfs_table_free(&fs->holds, hold->index);
}

int ipcfs_hold_save(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold,
		    enum ipcfs_hold_state state)
{
	const struct iovec part = { &hold->is, sizeof(hold->is) };

	hold->is.state = state;
	return fs->ledger ? ipcfs_ledger_put(fs->ledger, IPCFS_LEDGER_HOLDS, hold->index, &part, 1)
			  : 0;
}

/* The holds of one semaphore, in `state` or any (IPCFS_HOLD_NEW), that are in the object's list. */
static unsigned count(const struct ipcfs_object *object, uint32_t number,
		      enum ipcfs_hold_state state)
{
	const struct ipcfs_hold *hold;
	unsigned found = 0;

	DL_FOREACH (object->semaphore.holds, hold)
		found += hold->is.holder.number == number &&
			 (state == IPCFS_HOLD_NEW || hold->is.state == state);
	return found;
}

/* Adds a hold to the object's list, in which the newest is the first. */
static void list_hold(struct ipcfs_object *object, struct ipcfs_hold *hold)
{
	struct ipcfs_hold *after = object->semaphore.holds, *before = NULL;

	for (; after && after->is.holder.generation > hold->is.holder.generation;
	     after = after->next)
		before = after;
	if (before)
		DL_APPEND_ELEM(object->semaphore.holds, before, hold);
	else
		DL_PREPEND(object->semaphore.holds, hold);
	hold->listed = true;
}

static struct ipcfs_object *object_of(const struct ipcfs_filesystem *fs,
				      const struct ipcfs_hold *hold)
{
	return ipcfs_object_at(&fs->objects, hold->is.object);
}

/* The handle is open: see restore. */
static int handle_of(const struct ipcfs_filesystem *fs, const struct ipcfs_hold *hold)
{
	return object_of(fs, hold)->side[IPCFS_SEND].handle;
}

/* Makes a hold anew, and opens its semaphore. False: that is gone, or the entry makes no sense. */
static bool restore(struct ipcfs_filesystem *fs, uint32_t index,
		    const struct ipcfs_hold_entry *entry, size_t size)
{
	struct ipcfs_object *object;
	struct ipcfs_hold *hold;
	int handle;

	if (size != sizeof(*entry) || entry->object >= IPCFS_TABLE_MAX)
		return false;
	object = entry->object ? ipcfs_object_at(&fs->objects, entry->object) : NULL;
	if (!object || !object->class->semaphore ||
	    ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle))
		return false;
	hold = ipcfs_table_restore(&fs->holds, index, 0, 0);
	if (!hold) {
		ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
		return false;
	}
	ipcfs_object_ref(&fs->objects, object);
	hold->is = *entry;
	hold->index = index;
	if (entry->state != IPCFS_HOLD_TAKING)
		list_hold(object, hold);
	return true;
}

/* Finds out whether a hold was given back. If there are void ones among them, its rank tells. */
static void settle_given(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	struct ipcfs_object *object = object_of(fs, hold);
	uint32_t number = hold->is.holder.number;
	unsigned all = count(object, number, IPCFS_HOLD_NEW);
	unsigned giving = count(object, number, IPCFS_HOLD_GIVING) +
			  count(object, number, IPCFS_HOLD_DROPPING);
	int held = ipcfs_hold_count_held(object, handle_of(fs, hold), number, all);

	if (held < 0 || (unsigned)held == all || all - (unsigned)held > giving)
		return;
	DL_DELETE(object->semaphore.holds, hold);
	hold->listed = false;
	hold->given = true;
}

/* Has a hold that was being taken be one that is held. */
static void settle_held(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	struct ipcfs_object *object = object_of(fs, hold);

	hold->is.holder.since = time(NULL);
	hold->is.holder.generation = ++object->semaphore.generation;
	list_hold(object, hold);
	ipcfs_objects_note_generation(&fs->objects, object);
	(void)ipcfs_hold_save(fs, hold, IPCFS_HOLD_HELD);
}

/* The same for one that an open has taken: the file is saved when it was taken, and not before. */
static void settle_opened(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	const struct ipcfs_file *file = ipcfs_table_find(&fs->files, hold->is.file);

	if (file && file->request == hold->is.request)
		settle_held(fs, hold);
}

/* Finds out whether a hold was taken. */
static void settle_taken(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	struct ipcfs_object *object = object_of(fs, hold);
	uint32_t number = hold->is.holder.number;
	unsigned all = count(object, number, IPCFS_HOLD_NEW);
	int held = ipcfs_hold_count_held(object, handle_of(fs, hold), number, all + 1);

	if (held >= 0 && (unsigned)held > all)
		settle_held(fs, hold);
	else
		hold->given = true; /* there is none */
}

/* Gives a hold to its file. False: the file has none of it. */
static bool attach(struct ipcfs_file *file, struct ipcfs_hold *hold)
{
	bool comes_again = hold->is.state == IPCFS_HOLD_HELD || hold->is.state == IPCFS_HOLD_GIVING;

	if (!file || !comes_again || file->semaphore.hold)
		return false;
	file->semaphore.hold = hold;
	return true;
}

/* Closes what `restore` has opened. */
static void let_go(struct ipcfs_filesystem *fs, struct ipcfs_object *object)
{
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	ipcfs_object_unref(&fs->objects, object);
}

/* Takes an orphan of this request, or of any (0), out of the list. NULL: there is none. */
static struct ipcfs_hold *take_orphan(uint64_t request)
{
	struct ipcfs_hold *found = NULL, *before = NULL;

	if (!orphans.first)
		return NULL;
	pthread_mutex_lock(&orphans.lock);
	for (found = orphans.first; found && request && found->is.request != request;
	     found = found->next_orphan)
		before = found;
	if (found && before)
		before->next_orphan = found->next_orphan;
	else if (found)
		orphans.first = found->next_orphan;
	pthread_mutex_unlock(&orphans.lock);
	return found;
}

struct ipcfs_hold *ipcfs_hold_take_orphan(struct ipcfs_filesystem *fs, uint64_t request)
{
	struct ipcfs_hold *hold = request ? take_orphan(request) : NULL;

	if (hold)
		let_go(fs, object_of(fs, hold));
	return hold;
}

void ipcfs_holds_restored(struct ipcfs_filesystem *fs)
{
	struct ipcfs_hold *hold;

	while ((hold = take_orphan(0)) != NULL) {
		struct ipcfs_object *object = object_of(fs, hold);

		ipcfs_hold_give_back(fs, object, handle_of(fs, hold), hold, false);
		let_go(fs, object);
	}
}

/* Gives a hold to its file, or to the request that takes it, or back. */
static void hand_out(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold, bool was_taking)
{
	struct ipcfs_object *object = object_of(fs, hold);
	struct ipcfs_file *file = ipcfs_table_find(&fs->files, hold->is.file);

	if (was_taking && !hold->given && !file) {
		hold->next_orphan = orphans.first;
		orphans.first = hold;
		return;
	}
	if (was_taking && hold->given)
		ipcfs_hold_free(fs, hold);
	else if (!attach(file, hold))
		ipcfs_hold_give_back(fs, object, handle_of(fs, hold), hold, false);
	let_go(fs, object);
}

static void hand_out_new(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	settle_taken(fs, hold);
	hand_out(fs, hold, true);
}

/* Calls `settle` for each hold in `state`. */
static void settle_all(struct ipcfs_filesystem *fs, enum ipcfs_hold_state state,
		       void (*settle)(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold))
{
	for (uint32_t i = 0; (i = ipcfs_ledger_next(fs->ledger, IPCFS_LEDGER_HOLDS, i)) != 0;) {
		struct ipcfs_hold *hold = ipcfs_table_at(&fs->holds, i);

		if (hold->is.state == state)
			settle(fs, hold);
	}
}

static void hand_out_old(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold)
{
	hand_out(fs, hold, false);
}

void ipcfs_holds_restore(struct ipcfs_filesystem *fs)
{
	for (uint32_t i = 0; (i = ipcfs_ledger_next(fs->ledger, IPCFS_LEDGER_HOLDS, i)) != 0;) {
		size_t size;
		const struct ipcfs_hold_entry *entry =
			ipcfs_ledger_at(fs->ledger, IPCFS_LEDGER_HOLDS, i, &size);

		if (!restore(fs, i, entry, size))
			ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_HOLDS, i);
	}
	settle_all(fs, IPCFS_HOLD_TAKING, settle_opened); /* first, as it is certain */
	settle_all(fs, IPCFS_HOLD_GIVING, settle_given);
	settle_all(fs, IPCFS_HOLD_DROPPING, settle_given);
	settle_all(fs, IPCFS_HOLD_HELD, hand_out_old);
	settle_all(fs, IPCFS_HOLD_TAKING, hand_out_new);
	settle_all(fs, IPCFS_HOLD_GIVING, hand_out_old);
	settle_all(fs, IPCFS_HOLD_DROPPING, hand_out_old);
}
