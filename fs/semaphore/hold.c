/* SPDX-License-Identifier: MIT */
#include "fs/semaphore/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/request/tell.h"
#include "fs/semaphore/hold_inside.h"
#include "fs/semaphore/operation.h"

/*
 * Returns the rank of a hold among the holds of the same semaphore: 1 for the newest. Call with the
 * lock of object->semaphore held.
 */
static unsigned hold_rank(const struct ipcfs_object *object, const struct ipcfs_hold *hold)
{
	const struct ipcfs_hold *at;
	unsigned rank = 1;

	for (at = object->semaphore.holds; at != hold; at = at->next)
		rank += at->is.holder.number == hold->is.holder.number;
	return rank;
}

static int give_back(void *arg)
{
	const struct ipcfs_hold_call *call = arg;

	return call->semaphore->give_back(call->handle, call->number, call->count);
}

static int count_held(void *arg)
{
	const struct ipcfs_hold_call *call = arg;

	return call->semaphore->held(call->handle, call->number, call->count);
}

int ipcfs_hold_count_held(const struct ipcfs_object *object, int handle, uint32_t number,
			  unsigned taken)
{
	struct ipcfs_hold_call call = { object->class->semaphore, handle, number, taken };

	return taken ? ipcfs_space_run(object->space, count_held, &call) : 0;
}

int ipcfs_hold_prepare(struct ipcfs_semaphore_waiter *waiter)
{
	const struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_semaphore_op op = { .number = (uint32_t)file->key.selector, .delta = -1 };

	waiter->hold = ipcfs_hold_new(waiter->base.fs, file);
	if (!waiter->hold)
		return -ENOMEM;
	waiter->hold->is.holder.number = op.number;
	waiter->hold->is.holder.taker = waiter->base.tid;
	return ipcfs_text_add(&waiter->ops, &op, sizeof(op));
}

/* Tells that a hold was taken or given back. */
static void tell(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
		 enum ipcfs_event_kind kind, const struct ipcfs_holder *holder)
{
	const struct ipcfs_actor actor = { holder->uid, holder->gid, holder->taker };
	char detail[IPCFS_EVENT_DETAIL] = "";

	if (object->class->semaphore->sets)
		snprintf(detail, sizeof(detail), "semaphore %u", holder->number);
	ipcfs_tell(fs, object, kind, &actor, detail);
}

/*
 * Notes that the waiter's hold is about to be taken. Returns 0 if a worker before has taken it.
 * -EAGAIN: it is to be taken.
 * -ENOMEM: it must not be, since the next worker would not know.
 */
static int begin_to_take(struct ipcfs_semaphore_waiter *waiter)
{
	struct ipcfs_filesystem *fs = waiter->base.fs;
	struct ipcfs_hold *hold = waiter->hold, *orphan;

	if (!fs->ledger || hold->is.state == IPCFS_HOLD_TAKING)
		return -EAGAIN;
	hold->is.request = ipcfs_unanswered_unique();
	orphan = ipcfs_hold_take_orphan(fs, hold->is.request);
	if (!orphan)
		return ipcfs_hold_save(fs, hold, IPCFS_HOLD_TAKING) ? -ENOMEM : -EAGAIN;
	orphan->is.file = hold->is.file;
	ipcfs_hold_free(fs, hold);
	waiter->hold = orphan;
	return 0;
}

ssize_t ipcfs_hold_attempt(struct ipcfs_waiter *base, bool wait)
{
	int err = begin_to_take(ipcfs_semaphore_waiter(base));

	ssize_t result = err == -EAGAIN ? ipcfs_operation_attempt(base, wait) : err;

	if (!result)
		(void)ipcfs_fault("hold.called");
	return result;
}

/* Adds a hold to the object's list, as its newest one. */
static void list_hold(struct ipcfs_filesystem *fs, struct ipcfs_object *object,
		      struct ipcfs_hold *hold)
{
	pthread_mutex_lock(&object->semaphore.lock);
	if (!hold->listed) {
		hold->is.holder.since = time(NULL);
		hold->is.holder.generation = ++object->semaphore.generation;
		DL_PREPEND(object->semaphore.holds, hold);
		hold->listed = true;
	}
	pthread_mutex_unlock(&object->semaphore.lock);
	ipcfs_objects_note_generation(&fs->objects, object);
}

void ipcfs_hold_taken(struct ipcfs_semaphore_waiter *waiter)
{
	struct ipcfs_filesystem *fs = waiter->base.fs;
	struct ipcfs_hold *hold = waiter->hold;
	struct ipcfs_holder holder;

	(void)ipcfs_fault("hold.taken");
	list_hold(fs, waiter->base.object, hold);
	holder = hold->is.holder;
	/* a failure only leaves it to the next worker to find that out */
	(void)ipcfs_hold_save(fs, hold, IPCFS_HOLD_HELD);
	tell(fs, waiter->base.object, IPCFS_EVENT_HELD, &holder);
	waiter->hold = NULL;
	ipcfs_hold_attach(waiter->base.file, hold);
}

struct ipcfs_hold *ipcfs_hold_detach(struct ipcfs_file *file)
{
	struct ipcfs_hold *hold;

	pthread_mutex_lock(&file->lock);
	hold = file->semaphore.hold;
	file->semaphore.hold = NULL;
	pthread_mutex_unlock(&file->lock);
	return hold;
}

/* The kernel sends one write of an open file at a time: it holds the lock of the inode. */
void ipcfs_hold_attach(struct ipcfs_file *file, struct ipcfs_hold *hold)
{
	pthread_mutex_lock(&file->lock);
	file->semaphore.hold = hold;
	pthread_mutex_unlock(&file->lock);
}

bool ipcfs_hold_is_attached(struct ipcfs_file *file)
{
	bool attached;

	pthread_mutex_lock(&file->lock);
	attached = file->semaphore.hold != NULL;
	pthread_mutex_unlock(&file->lock);
	return attached;
}

bool ipcfs_hold_was_taken(struct ipcfs_file *file)
{
	bool taken;

	if (!ipcfs_unanswered_is_left())
		return false;
	pthread_mutex_lock(&file->lock);
	taken = file->semaphore.hold &&
		file->semaphore.hold->is.request == ipcfs_unanswered_unique();
	pthread_mutex_unlock(&file->lock);
	if (taken)
		ipcfs_effects_settle();
	return taken;
}

/* Gives a hold back, which is still to be freed. As ipcfs_hold_give_back. */
static void give(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int handle,
		 struct ipcfs_hold *hold, bool comes_again)
{
	struct ipcfs_hold_call call = {
		.semaphore = object->class->semaphore,
		.handle = handle,
		.number = hold->is.holder.number,
	};

	(void)ipcfs_hold_save(fs, hold, comes_again ? IPCFS_HOLD_GIVING : IPCFS_HOLD_DROPPING);
	/*
	 * The rank is right only while no other hold is given back, so the lock is held during the
	 * call. The call does not block.
	 */
	pthread_mutex_lock(&object->semaphore.lock);
	/* An error means that the semaphore is gone. A close can report it to nobody. */
	call.count = hold->listed ? hold_rank(object, hold) : 0;
	if (!hold->given)
		(void)ipcfs_space_run(object->space, give_back, &call);
	if (hold->listed)
		DL_DELETE(object->semaphore.holds, hold);
	pthread_mutex_unlock(&object->semaphore.lock);
	(void)ipcfs_fault("hold.given");
	tell(fs, object, hold->is.dead ? IPCFS_EVENT_RELEASED_BY_DEATH : IPCFS_EVENT_RELEASED,
	     &hold->is.holder);
}

void ipcfs_hold_give_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int handle,
			  struct ipcfs_hold *hold, bool comes_again)
{
	give(fs, object, handle, hold, comes_again);
	ipcfs_hold_free(fs, hold);
}

int ipcfs_hold_leave(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	bool left = ipcfs_effects_call() == IPCFS_CALL_DONE;
	struct ipcfs_hold *hold = ipcfs_hold_detach(file);

	if (!hold)
		return left ? 0 : -EPERM;
	give(fs, ipcfs_file_object(fs, file), file->handle[IPCFS_SEND], hold, true);
	if (!left)
		ipcfs_effects_called(true);
	(void)ipcfs_fault("hold.left");
	ipcfs_hold_free(fs, hold);
	(void)ipcfs_fault("hold.freed");
	return 0;
}

void ipcfs_hold_flush(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid)
{
	bool killed = ipcfs_caller_state(tid) == IPCFS_CALLER_KILLED;
	bool opener = killed && ipcfs_caller_same_process(file->opener.tid, tid);
	struct ipcfs_hold *hold;

	pthread_mutex_lock(&file->lock);
	hold = file->semaphore.hold;
	if (hold && !hold->is.opener_died && !hold->given) {
		hold->is.dead = killed ? tid : 0;
		hold->is.opener_died = opener;
		hold->is.unseen = tid <= 0;
		(void)ipcfs_hold_save(fs, hold, IPCFS_HOLD_HELD);
	}
	pthread_mutex_unlock(&file->lock);
}

/* Counts a hold whose holder was killed, unless a worker before has. */
static void count_death(struct ipcfs_filesystem *fs, struct ipcfs_object *object,
			const struct ipcfs_hold *hold)
{
	pthread_mutex_lock(&object->semaphore.lock);
	if (object->semaphore.counted != hold->is.holder.generation) {
		object->semaphore.deaths++;
		object->semaphore.last_dead = hold->is.dead;
		object->semaphore.last_death = time(NULL);
		object->semaphore.counted = hold->is.holder.generation;
	}
	pthread_mutex_unlock(&object->semaphore.lock);
	ipcfs_objects_note_generation(&fs->objects, object);
}

bool ipcfs_hold_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_hold *hold = ipcfs_hold_detach(file);
	bool may_be_dead;

	if (!hold)
		return false;
	may_be_dead = hold->is.dead || hold->is.unseen;
	if (hold->is.dead)
		count_death(fs, object, hold);
	ipcfs_hold_give_back(fs, object, file->handle[IPCFS_SEND], hold, true);
	return may_be_dead;
}

/* Releases the hold, if there is one, closes the semaphore and frees the file. */
static void close_file(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	(void)ipcfs_hold_release(fs, file);
	ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file), IPCFS_SEND);
	ipcfs_file_free(fs, file);
}

unsigned ipcfs_hold_open_flags(const struct ipcfs_file *file)
{
	return IPCFS_FOPEN_DIRECT_IO |
	       (file->key.kind == IPCFS_NODE_MONITOR ? 0U : IPCFS_FOPEN_NOFLUSH);
}

static void answer_hold(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_semaphore_waiter *waiter = ipcfs_semaphore_waiter(base);
	struct ipcfs_filesystem *fs = base->fs;
	struct ipcfs_file *file = base->file;

	ipcfs_text_free(&waiter->ops);
	if (result) {
		ipcfs_hold_free(fs, waiter->hold);
		close_file(fs, file);
		ipcfs_reply_error(base->req, (int)result);
		return;
	}
	ipcfs_file_save(fs, file);
	ipcfs_hold_taken(waiter);
	(void)ipcfs_fault("hold.reply");
	/* An opener that was killed may still get the file; the kernel then closes it. */
	if (ipcfs_reply_open(base->req, file, ipcfs_hold_open_flags(file)) == -ENOENT)
		close_file(fs, file);
}

static const struct ipcfs_waiter_ops hold_ops = {
	.size = sizeof(struct ipcfs_semaphore_waiter),
	.attempt = ipcfs_hold_attempt,
	.answer = answer_hold,
};

void ipcfs_hold_open(fuse_req_t req, struct ipcfs_file *file, int flags)
{
	struct ipcfs_semaphore_waiter waiter = ipcfs_operation_begin(req, file, &hold_ops);
	int err = ipcfs_hold_prepare(&waiter);

	if (err)
		answer_hold(&waiter.base, err);
	else
		ipcfs_operation_run(&waiter,
				    file->key.kind == IPCFS_NODE_TRYHOLD || (flags & O_NONBLOCK));
}

/* The holds of one semaphore, while status is made. */
struct count {
	unsigned taken; /* holds that were not given back */
	unsigned shown; /* of these, how many the walk has come to: the rank of the next, less 1 */
	int held;	/* how many were not voided by a change of the value; or a negative errno */
};

/*
 * Counts the holds of each semaphore up to the highest number that has one. The array is to be
 * freed. NULL: there are no holds, or there is no memory. Call with the lock of object->semaphore
 * held.
 */
static struct count *count_holds(const struct ipcfs_object *object, int handle)
{
	const struct ipcfs_hold *hold;
	struct count *counts;
	uint32_t highest = 0;

	DL_FOREACH (object->semaphore.holds, hold)
		highest = hold->is.holder.number > highest ? hold->is.holder.number : highest;
	counts = object->semaphore.holds ? calloc((size_t)highest + 1, sizeof(*counts)) : NULL;
	if (!counts)
		return NULL;
	DL_FOREACH (object->semaphore.holds, hold)
		counts[hold->is.holder.number].taken++;
	for (uint32_t i = 0; i <= highest; i++)
		counts[i].held = ipcfs_hold_count_held(object, handle, i, counts[i].taken);
	return counts;
}

/* Appends, as struct ipcfs_holder, the holds that are not void. -ENOMEM. */
static int copy_holds(const struct ipcfs_object *object, struct count *counts,
		      struct ipcfs_text *copies)
{
	const struct ipcfs_hold *hold;
	int err = 0;

	DL_FOREACH (object->semaphore.holds, hold) {
		struct count *count = &counts[hold->is.holder.number];
		unsigned rank = ++count->shown;

		/* If `held` is an error, all holds are shown. */
		if (!err && (count->held < 0 || rank <= (unsigned)count->held))
			err = ipcfs_text_add(copies, &hold->is.holder, sizeof(hold->is.holder));
	}
	return err;
}

/* Appends the lines of one holder, the n-th. -ENOMEM. */
static int add_holder(const struct ipcfs_holder *holder, size_t n, struct ipcfs_text *out)
{
	pid_t pid = ipcfs_caller_living(holder->pid, holder->taker);
	int err = 0;

	if (pid) /* no number for none: a program that kills the holder must not kill 0 */
		err = ipcfs_text_printf(out, "holder_%zu_pid=%d\n", n, pid);
	if (err)
		return err;
	return ipcfs_text_printf(out,
				 "holder_%zu_uid=%u\nholder_%zu_since=%lld\n"
				 "holder_%zu_semaphore=%u\nholder_%zu_generation=%" PRIu64 "\n",
				 n, holder->uid, n, (long long)holder->since, n, holder->number, n,
				 holder->generation);
}

/* The numbers that status shows beside the holders. */
struct totals {
	uint64_t generation, deaths;
	pid_t last_dead;
	time_t last_death;
};

/* Appends the lines. -ENOMEM. */
static int add_totals(const struct totals *totals, size_t holders, struct ipcfs_text *out)
{
	int err = ipcfs_text_printf(out,
				    "holders=%zu\ngeneration=%" PRIu64
				    "\nreleased_by_death=%" PRIu64 "\n",
				    holders, totals->generation, totals->deaths);

	if (err || !totals->deaths)
		return err;
	return ipcfs_text_printf(out, "last_dead_pid=%d\nlast_dead_since=%lld\n", totals->last_dead,
				 (long long)totals->last_death);
}

/* Copies all that status shows of holds, of one moment. -ENOMEM. */
static int copy_all(struct ipcfs_object *object, int handle, struct ipcfs_text *copies,
		    struct totals *totals)
{
	struct count *counts;
	int err = 0;

	pthread_mutex_lock(&object->semaphore.lock);
	counts = count_holds(object, handle);
	if (counts)
		err = copy_holds(object, counts, copies);
	else if (object->semaphore.holds)
		err = -ENOMEM;
	*totals = (struct totals){
		object->semaphore.generation,
		object->semaphore.deaths,
		object->semaphore.last_dead,
		object->semaphore.last_death,
	};
	pthread_mutex_unlock(&object->semaphore.lock);
	free(counts);
	return err;
}

int ipcfs_hold_status(struct ipcfs_object *object, int handle, struct ipcfs_text *out)
{
	struct ipcfs_text copies = { 0 };
	struct totals totals;
	int err = copy_all(object, handle, &copies, &totals);
	const struct ipcfs_holder *holders = (const void *)copies.data;
	size_t count = copies.size / sizeof(*holders);

	for (size_t i = 0; !err && i < count; i++)
		err = add_holder(&holders[i], i + 1, out);
	ipcfs_text_free(&copies);
	return err ? err : add_totals(&totals, count, out);
}

size_t ipcfs_hold_number(struct ipcfs_object *object)
{
	const struct ipcfs_hold *hold;
	size_t count;

	pthread_mutex_lock(&object->semaphore.lock);
	DL_COUNT(object->semaphore.holds, hold, count);
	pthread_mutex_unlock(&object->semaphore.lock);
	return count;
}

int ipcfs_hold_count(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	struct ipcfs_text copies = { 0 };
	struct totals totals;
	size_t count;
	int handle, err;

	if (!ipcfs_hold_number(object))
		return 0;
	err = ipcfs_object_open(objects, object, IPCFS_SEND, &handle);
	if (err)
		return err;
	err = copy_all(object, handle, &copies, &totals);
	ipcfs_object_close(objects, object, IPCFS_SEND);
	count = copies.size / sizeof(struct ipcfs_holder);
	ipcfs_text_free(&copies);
	return err ? err : (int)count;
}
