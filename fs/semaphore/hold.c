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
#include "fs/request/reply.h"
#include "fs/request/tell.h"
#include "fs/semaphore/operation.h"

/* The part of a hold that status shows. Constant once the hold is in the object's list. */
struct holder {
	uint32_t number;     /* of the semaphore in its set */
	pid_t pid;	     /* of the opener's thread */
	pid_t taker;	     /* the thread whose request took it */
	uid_t uid;	     /* of the opener */
	gid_t gid;	     /* of the opener */
	time_t since;	     /* when it was taken */
	uint64_t generation; /* how many the object had with this one */
};

struct ipcfs_hold {
	struct holder holder;
	/* Guarded by the lock of the file that has the hold. */
	pid_t dead;	  /* the killed thread that closed the file last; 0: none */
	bool opener_died; /* that was the opener: later closes change nothing */
	bool unseen;	  /* who closed it last is not to be seen here, and may have been killed */
	struct ipcfs_hold *next, *prev;
};

/*
 * Returns the rank of a hold among the holds of the same semaphore: 1 for the newest. Call with the
 * lock of object->semaphore held.
 */
static unsigned hold_rank(const struct ipcfs_object *object, const struct ipcfs_hold *hold)
{
	const struct ipcfs_hold *at;
	unsigned rank = 1;

	for (at = object->semaphore.holds; at != hold; at = at->next)
		rank += at->holder.number == hold->holder.number;
	return rank;
}

/* A call about holds, for ipcfs_space_run: the space's thread, which took them, has to make it. */
struct hold_call {
	const struct ipcfs_semaphore_ops *semaphore;
	int handle;
	uint32_t number;
	unsigned count; /* give_back: the rank; held: the holds taken */
};

static int give_back(void *arg)
{
	const struct hold_call *call = arg;

	return call->semaphore->give_back(call->handle, call->number, call->count);
}

static int count_held(void *arg)
{
	const struct hold_call *call = arg;

	return call->semaphore->held(call->handle, call->number, call->count);
}

int ipcfs_hold_prepare(struct ipcfs_semaphore_waiter *waiter)
{
	const struct ipcfs_file *file = waiter->base.file;
	struct ipcfs_semaphore_op op = { .number = (uint32_t)file->key.selector, .delta = -1 };
	struct ipcfs_hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		return -ENOMEM;
	hold->holder.number = op.number;
	hold->holder.pid = file->opener.tid;
	hold->holder.uid = file->opener.uid;
	hold->holder.gid = file->opener.gid;
	hold->holder.taker = waiter->base.tid;
	waiter->hold = hold;
	return ipcfs_text_add(&waiter->ops, &op, sizeof(op));
}

/* Tells that a hold was taken or given back. */
static void tell(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
		 enum ipcfs_event_kind kind, const struct holder *holder)
{
	const struct ipcfs_actor actor = { holder->uid, holder->gid, holder->taker };
	char detail[IPCFS_EVENT_DETAIL] = "";

	if (object->class->semaphore->sets)
		snprintf(detail, sizeof(detail), "semaphore %u", holder->number);
	ipcfs_tell(fs, object, kind, &actor, detail);
}

void ipcfs_hold_taken(struct ipcfs_semaphore_waiter *waiter)
{
	struct ipcfs_object *object = waiter->base.object;
	struct ipcfs_hold *hold = waiter->hold;
	struct holder holder;

	(void)ipcfs_fault("hold.taken");
	hold->holder.since = time(NULL);
	pthread_mutex_lock(&object->semaphore.lock);
	hold->holder.generation = ++object->semaphore.generation;
	DL_PREPEND(object->semaphore.holds, hold);
	holder = hold->holder;
	pthread_mutex_unlock(&object->semaphore.lock);
	tell(waiter->base.fs, object, IPCFS_EVENT_HELD, &holder);
	ipcfs_objects_note_generation(&waiter->base.fs->objects, hold->holder.generation);
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

void ipcfs_hold_give_back(struct ipcfs_filesystem *fs, struct ipcfs_object *object, int handle,
			  struct ipcfs_hold *hold)
{
	struct hold_call call = {
		.semaphore = object->class->semaphore,
		.handle = handle,
		.number = hold->holder.number,
	};

	/*
	 * The rank is right only while no other hold is given back, so the lock is held during the
	 * call. The call does not block.
	 */
	pthread_mutex_lock(&object->semaphore.lock);
	/* An error means that the semaphore is gone. A close can report it to nobody. */
	call.count = hold_rank(object, hold);
	(void)ipcfs_space_run(object->space, give_back, &call);
	DL_DELETE(object->semaphore.holds, hold);
	pthread_mutex_unlock(&object->semaphore.lock);
	tell(fs, object, hold->dead ? IPCFS_EVENT_RELEASED_BY_DEATH : IPCFS_EVENT_RELEASED,
	     &hold->holder);
	free(hold);
}

void ipcfs_hold_flush(struct ipcfs_file *file, pid_t tid)
{
	bool killed = ipcfs_caller_state(tid) == IPCFS_CALLER_KILLED;
	bool opener = killed && ipcfs_caller_same_process(file->opener.tid, tid);
	struct ipcfs_hold *hold;

	pthread_mutex_lock(&file->lock);
	hold = file->semaphore.hold;
	if (hold && !hold->opener_died) {
		hold->dead = killed ? tid : 0;
		hold->opener_died = opener;
		hold->unseen = tid <= 0;
	}
	pthread_mutex_unlock(&file->lock);
}

/* Counts a hold whose holder was killed. */
static void count_death(struct ipcfs_object *object, pid_t dead)
{
	pthread_mutex_lock(&object->semaphore.lock);
	object->semaphore.deaths++;
	object->semaphore.last_dead = dead;
	object->semaphore.last_death = time(NULL);
	pthread_mutex_unlock(&object->semaphore.lock);
}

bool ipcfs_hold_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_hold *hold = ipcfs_hold_detach(file);
	bool may_be_dead;

	if (!hold)
		return false;
	may_be_dead = hold->dead || hold->unseen;
	if (hold->dead)
		count_death(object, hold->dead);
	ipcfs_hold_give_back(fs, object, file->handle[IPCFS_SEND], hold);
	return may_be_dead;
}

/* Releases the hold, if there is one, closes the semaphore and frees the file. */
static void close_file(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	(void)ipcfs_hold_release(fs, file);
	ipcfs_object_close(&fs->objects, ipcfs_file_object(fs, file), IPCFS_SEND);
	ipcfs_file_free(fs, file);
}

/*
 * Returns IPCFS_FOPEN_* for the answer. Of a monitor the kernel sends FLUSH, which alone tells
 * whether the process that closes was killed.
 */
static unsigned open_flags(const struct ipcfs_file *file)
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
		free(waiter->hold);
		close_file(fs, file);
		ipcfs_reply_error(base->req, (int)result);
		return;
	}
	ipcfs_hold_taken(waiter);
	(void)ipcfs_fault("hold.reply");
	/* An opener that was killed may still get the file; the kernel then closes it. */
	if (ipcfs_reply_open(base->req, file, open_flags(file)) == -ENOENT)
		close_file(fs, file);
}

static const struct ipcfs_waiter_ops hold_ops = {
	.size = sizeof(struct ipcfs_semaphore_waiter),
	.attempt = ipcfs_operation_attempt,
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
	struct hold_call call = { .semaphore = object->class->semaphore, .handle = handle };
	const struct ipcfs_hold *hold;
	struct count *counts;
	uint32_t highest = 0;

	DL_FOREACH (object->semaphore.holds, hold)
		highest = hold->holder.number > highest ? hold->holder.number : highest;
	counts = object->semaphore.holds ? calloc((size_t)highest + 1, sizeof(*counts)) : NULL;
	if (!counts)
		return NULL;
	DL_FOREACH (object->semaphore.holds, hold)
		counts[hold->holder.number].taken++;
	for (call.number = 0; call.number <= highest; call.number++) {
		call.count = counts[call.number].taken;
		if (call.count)
			counts[call.number].held = ipcfs_space_run(object->space, count_held,
								   &call);
	}
	return counts;
}

/* Appends, as struct holder, the holds that are not void. -ENOMEM. */
static int copy_holds(const struct ipcfs_object *object, struct count *counts,
		      struct ipcfs_text *copies)
{
	const struct ipcfs_hold *hold;
	int err = 0;

	DL_FOREACH (object->semaphore.holds, hold) {
		struct count *count = &counts[hold->holder.number];
		unsigned rank = ++count->shown;

		/* If `held` is an error, all holds are shown. */
		if (!err && (count->held < 0 || rank <= (unsigned)count->held))
			err = ipcfs_text_add(copies, &hold->holder, sizeof(hold->holder));
	}
	return err;
}

/* Appends the lines of one holder, the n-th. -ENOMEM. */
static int add_holder(const struct holder *holder, size_t n, struct ipcfs_text *out)
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
	const struct holder *holders = (const void *)copies.data;
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
	count = copies.size / sizeof(struct holder);
	ipcfs_text_free(&copies);
	return err ? err : (int)count;
}
