/* SPDX-License-Identifier: MIT */
#include "fs/queue/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "fs/access/caller.h"
#include "fs/base/effects.h"
#include "fs/queue/detached.h"
#include "fs/queue/transfer.h"
#include "fs/request/file_saved.h"
#include "fs/request/lease_item.h"
#include "fs/request/reply.h"
#include "fs/request/tell.h"
#include "fs/wait/waits.h"

/* Returns whether the queue has a place for leased messages, and counts their deliveries. */
static bool counts_itself(const struct ipcfs_object *object)
{
	return object->class->queue->lease;
}

/*
 * Notes a lease of the message that the waiter has received. It is not the file's yet. NULL: no
 * memory.
 */
static struct ipcfs_lease *lease_new(const struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_taken *taken = (const void *)waiter->taken.data;
	struct ipcfs_object *object = waiter->base.object;
	struct ipcfs_lease *lease = malloc(sizeof(*lease));

	if (!lease)
		return NULL;
	*lease = (struct ipcfs_lease){
		.holder = { .pid = waiter->base.file->opener.tid,
			    .taker = waiter->base.tid,
			    .uid = waiter->base.file->opener.uid,
			    .since = ipcfs_clock_ns() },
		.mark = { .type = taken->type },
		.size = taken->size,
		.kept = waiter->kept,
		.token = taken->token,
		.deliveries = waiter->deliveries,
		.node = waiter->base.file->node,
	};
	if (!counts_itself(object))
		lease->mark = ipcfs_message_mark(taken->type, waiter->data.data, taken->size);
	pthread_mutex_lock(&object->queue.lock);
	if (!counts_itself(object))
		lease->deliveries = ipcfs_deliveries_of(&object->queue.deliveries, &lease->mark) +
				    1;
	DL_APPEND(object->queue.leases, lease);
	pthread_mutex_unlock(&object->queue.lock);
	return lease;
}

static void lease_free(struct ipcfs_object *object, struct ipcfs_lease *lease)
{
	pthread_mutex_lock(&object->queue.lock);
	DL_DELETE(object->queue.leases, lease);
	pthread_mutex_unlock(&object->queue.lock);
	free(lease);
}

/* Notes that the message comes back, or, if it does not, forgets it. */
static void count_delivery(const struct ipcfs_filesystem *fs, struct ipcfs_object *object,
			   const struct ipcfs_lease *lease, bool returns)
{
	const struct ipcfs_delivery delivery = {
		.mark = lease->mark,
		.count = lease->deliveries,
		.uid = lease->holder.uid,
	};

	if (counts_itself(object))
		return;
	pthread_mutex_lock(&object->queue.lock);
	if (returns)
		ipcfs_deliveries_note(&object->queue.deliveries, &delivery, fs->quota);
	else
		ipcfs_deliveries_drop(&object->queue.deliveries, &lease->mark, fs->quota);
	pthread_mutex_unlock(&object->queue.lock);
}

bool ipcfs_lease_is_held(struct ipcfs_file *file)
{
	bool held;

	pthread_mutex_lock(&file->lock);
	held = file->queue.lease != NULL;
	pthread_mutex_unlock(&file->lock);
	return held;
}

/*
 * Takes the lease out of the file, and its message into *text. NULL: the file has none. `ends`: the
 * message is done. `answer`: of the request that says so, bytes; 0: none does.
 */
static struct ipcfs_lease *detach(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
				  struct ipcfs_text *text, bool ends, size_t answer)
{
	struct ipcfs_lease *lease;

	pthread_mutex_lock(&file->lock);
	lease = file->queue.lease;
	if (lease) {
		*text = file->text;
		file->text = (struct ipcfs_text){ 0 };
		file->at = 0;
		file->queue.lease = NULL;
		file->queue.ended = ends ? lease->kept : 0;
		(void)ipcfs_file_charge(fs, file); /* fewer bytes never fail */
		if (answer)
			ipcfs_file_done(fs, file, (ssize_t)answer, NULL);
		else
			ipcfs_file_save(fs, file);
	}
	pthread_mutex_unlock(&file->lock);
	return lease;
}

/* Forgets a message that is done. */
static void forget(struct ipcfs_file *file, const struct ipcfs_object *object, uint64_t kept)
{
	object->class->queue->forget(kept);
	pthread_mutex_lock(&file->lock);
	file->queue.ended = 0;
	pthread_mutex_unlock(&file->lock);
}

/*
 * Has the message kept that the waiter has received, or leased by the queue itself: data has then
 * what the queue says about it, behind the message. Errors as of `keep` and `lease`.
 */
static int keep(struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	const struct ipcfs_taken *taken = (const void *)waiter->taken.data;
	struct ipcfs_text buffer = { 0 };
	struct ipcfs_message *message;
	int err;

	if (queue->lease)
		return queue->lease(waiter->base.handle, taken->token, &waiter->data,
				    &waiter->deliveries);
	message = ipcfs_transfer_message(&buffer, taken->size);
	if (!message)
		return -ENOMEM;
	message->type = taken->type;
	if (taken->size)
		memcpy(message->text, waiter->data.data + taken->start, taken->size);
	buffer.size = sizeof(*message) + taken->size;
	err = queue->keep(waiter->base.file->handle[IPCFS_SEND], message, taken->size,
			  ipcfs_effects_is_noted() ? ipcfs_unanswered_unique() : 0, &waiter->kept);
	ipcfs_text_free(&buffer);
	return err;
}

/*
 * Counts a lease that is attempted, and its bytes, before a message is taken: one that the opener
 * cannot pay for stays where it is. Where the queue takes it back as it was, the bytes are counted
 * when it has come: its largest message may be much longer.
 * -EAGAIN, -EDQUOT, -ENOMEM: as ipcfs_quota_lease.
 */
static int reserve(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_quota *quota = waiter->base.fs->quota;
	uid_t uid = waiter->base.file->opener.uid;
	size_t bytes = IPCFS_LEASE_BYTES + 2 * waiter->base.object->queue.largest_message;
	int err = ipcfs_quota_lease(quota, uid);

	if (err || counts_itself(waiter->base.object))
		return err;
	err = ipcfs_quota_charge(quota, uid, bytes);
	if (err)
		ipcfs_quota_lease_failed(quota, uid);
	else
		waiter->reserved = bytes;
	return err;
}

/* Gives the bytes back: a file or a returning message is charged, or nothing is taken. */
static void unreserve(struct ipcfs_queue_waiter *waiter)
{
	if (waiter->reserved)
		ipcfs_quota_release(waiter->base.fs->quota, waiter->base.file->opener.uid,
				    waiter->reserved);
	waiter->reserved = 0;
}

/* Keeps a message that was received. The lease counts even before that may take its time. */
static int keep_counted(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_quota *quota = waiter->base.fs->quota;
	uid_t uid = waiter->base.file->opener.uid;
	int err;

	ipcfs_quota_leased(quota, uid);
	err = keep(waiter);
	if (err)
		ipcfs_quota_lease_ended(quota, uid);
	return err;
}

/*
 * Attempts to take a message, as ipcfs_transfer_receive does. Takes none, and returns 0, if another
 * read of the open file has taken one meanwhile.
 * -EAGAIN: also if the opener has too many leases with those that are being attempted.
 * -EDQUOT: the opener has too many leases. -EMFILE: the broker's connection has.
 * -ENOLCK: the message can't be kept, and went back to the tail of the queue.
 */
static ssize_t attempt_lease(struct ipcfs_waiter *base, bool wait)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	ssize_t err;

	if (ipcfs_lease_is_held(base->file))
		return 0;
	err = reserve(waiter);
	if (err)
		return err;
	err = ipcfs_transfer_receive(base, wait);
	if (err)
		ipcfs_quota_lease_failed(base->fs->quota, base->file->opener.uid);
	else
		err = keep_counted(waiter);
	if (!err)
		return 0;
	ipcfs_transfer_put_back_all(waiter);
	unreserve(waiter);
	return ipcfs_transfer_for_waits(waiter, (int)err);
}

/* Takes an empty message. For struct ipcfs_waiter_ops. Errors as of attempt_lease. */
static int accept_lease(struct ipcfs_waiter *base, long type)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	int err = ipcfs_lease_is_held(base->file) ? -EAGAIN : reserve(waiter);

	if (err)
		return err;
	err = ipcfs_transfer_accept_uncounted(base, type);
	if (err)
		ipcfs_quota_lease_failed(base->fs->quota, base->file->opener.uid);
	else
		err = keep_counted(waiter);
	if (!err) {
		ipcfs_transfer_count(base->object, IPCFS_MOVE_RECEIVED);
		return 0;
	}
	ipcfs_text_cut(&waiter->taken, 0); /* the caller has the message */
	unreserve(waiter);
	return err;
}

/*
 * Makes the received message the file's, and what is known about it. The read gets the first bytes
 * of the message, *fits of them.
 * -EEXIST: another read of the open file was first.
 * -ENOMEM: also if max_bytes is reached.
 */
static int attach(struct ipcfs_queue_waiter *waiter, size_t *fits)
{
	struct ipcfs_lease *lease = lease_new(waiter);
	struct ipcfs_file *file = waiter->base.file;
	const struct ipcfs_actor actor = ipcfs_actor_opener(file, waiter->base.tid);
	int err;

	if (!lease)
		return -ENOMEM;
	pthread_mutex_lock(&file->lock);
	err = file->queue.lease ? -EEXIST : 0;
	if (!err) {
		file->queue.lease = lease; /* counts, too */
		err = ipcfs_file_reserve(waiter->base.fs, file, waiter->data.size);
		if (err)
			file->queue.lease = NULL;
	}
	if (!err) {
		(void)ipcfs_text_add(&file->text, waiter->data.data, waiter->data.size);
		*fits = lease->size < waiter->size ? lease->size : waiter->size;
		file->at = *fits;
		file->queue.end = lease->size;
		(void)ipcfs_file_charge(waiter->base.fs, file); /* the copy, too: as was reserved */
		(void)ipcfs_fault("lease.kept");
		ipcfs_file_done(waiter->base.fs, file, (ssize_t)*fits, waiter->data.data);
		(void)ipcfs_fault("lease.noted");
	}
	pthread_mutex_unlock(&file->lock);
	if (err) {
		lease_free(waiter->base.object, lease);
		return err;
	}
	ipcfs_text_cut(&waiter->taken, 0); /* the open file has the message now */
	ipcfs_tell(waiter->base.fs, waiter->base.object, IPCFS_EVENT_LEASED, &actor, NULL);
	return 0;
}

/*
 * Answers a read. A message that the reader can't get, as after it was killed, goes back to the
 * queue. Where another read of the open file has a message, this one is at its end.
 */
static void answer_lease(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	bool received = waiter->taken.size > 0;
	int err = (int)result;
	size_t fits = 0;

	(void)ipcfs_fault("lease.answer");
	unreserve(waiter);
	if (!err && fuse_req_interrupted(base->req) && ipcfs_caller_ends(base->tid))
		err = -EINTR;
	if (!err && received)
		err = attach(waiter, &fits);
	if (err && received) {
		ipcfs_transfer_put_back_all(waiter);
		ipcfs_quota_lease_ended(base->fs->quota, base->file->opener.uid);
	}
	if (err && err != -EEXIST)
		ipcfs_reply_error(base->req, err);
	else
		ipcfs_reply_bytes(base->req, waiter->data.data, fits);
	ipcfs_transfer_clear(waiter);
}

const struct ipcfs_waiter_ops ipcfs_lease_read_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = attempt_lease,
	.answer = answer_lease,
	.accept = accept_lease,
};

void ipcfs_lease_end(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t answer)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_text text = { 0 };
	struct ipcfs_lease *lease = detach(fs, file, &text, true, answer);

	(void)ipcfs_fault("lease.done");
	if (object->class->queue->forget)
		forget(file, object, lease->kept);
	(void)ipcfs_fault("lease.forgotten");
	count_delivery(fs, object, lease, false);
	ipcfs_quota_lease_ended(fs->quota, lease->holder.uid);
	lease_free(object, lease);
	ipcfs_text_free(&text);
}

/* Notes that the message of a lease is back in its queue, and ends the lease. */
static void returned(struct ipcfs_filesystem *fs, const struct ipcfs_file *file,
		     struct ipcfs_lease *lease)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	const struct ipcfs_actor actor = ipcfs_actor_opener(file, lease->holder.taker);

	object->queue.leases_returned++;
	ipcfs_object_save(&fs->objects, object);
	ipcfs_quota_lease_ended(fs->quota, lease->holder.uid);
	ipcfs_tell(fs, object, IPCFS_EVENT_RETURNED, &actor, NULL);
	lease_free(object, lease);
}

/* Returns a waiter that sends the message of the file's lease to its queue's tail. */
static struct ipcfs_queue_waiter sender_of(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_queue_waiter waiter = {
		.base = { .fs = fs,
			  .object = ipcfs_file_object(fs, file),
			  .uid = file->opener.uid,
			  .first = true },
		.framing = IPCFS_FRAMING_NONE,
		.last = true,
		.returns = true,
	};

	pthread_mutex_lock(&file->lock);
	waiter.data = file->text;
	waiter.type = file->queue.lease->mark.type;
	waiter.kept = file->queue.lease->kept;
	pthread_mutex_unlock(&file->lock);
	return waiter;
}

/*
 * Takes the lease out of a file that has one, and has its message sent to its queue's tail. The
 * message is written down as one that is sent before the file is as one that has it not.
 */
static struct ipcfs_lease *send_back(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
				     size_t answer)
{
	struct ipcfs_queue_waiter waiter = sender_of(fs, file);
	struct ipcfs_lease *lease;

	ipcfs_detached_save(&waiter);
	(void)ipcfs_fault("lease.saved");
	lease = detach(fs, file, &waiter.data, false, answer);
	(void)ipcfs_fault("lease.return");
	count_delivery(fs, waiter.base.object, lease, true);
	waiter.base.charged = ipcfs_quota_charge_kept(fs->quota, waiter.base.uid,
						      waiter.data.capacity + waiter.data.size +
							      IPCFS_LEASE_BYTES);
	ipcfs_transfer_send_detached(&waiter);
	return lease;
}

/* The same for a class with `lease`, which gets the message. */
static struct ipcfs_lease *give_back(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
				     size_t answer)
{
	const struct ipcfs_queue_ops *queue = ipcfs_file_object(fs, file)->class->queue;
	struct ipcfs_text text = { 0 };
	struct ipcfs_lease *lease = detach(fs, file, &text, false, answer);

	queue->give_back(file->handle[IPCFS_RECEIVE], lease->token);
	ipcfs_text_free(&text);
	return lease;
}

void ipcfs_lease_release(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t answer)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_lease *lease;

	if (!ipcfs_lease_is_held(file))
		return;
	ipcfs_transfer_count(object, IPCFS_MOVE_RETURNED);
	lease = counts_itself(object) ? give_back(fs, file, answer) : send_back(fs, file, answer);
	/* only then, so that who sees in status that the lease has ended finds the message */
	returned(fs, file, lease);
}

/* Returns which of two leases was taken later. For utlist. */
static int compare(const struct ipcfs_lease *one, const struct ipcfs_lease *other)
{
	return one->holder.since > other->holder.since ? 1 : -1;
}

int ipcfs_lease_restore(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_object *object = ipcfs_file_object(fs, file);
	struct ipcfs_lease *lease = file->queue.lease;
	int handle = file->handle[IPCFS_SEND];

	if (file->queue.ended && object->class->queue->kept(handle, file->queue.ended))
		forget(file, object, file->queue.ended);
	if (!lease)
		return 0;
	if (!object->class->queue->kept(handle, lease->kept)) {
		/* it was sent to the queue, and forgotten */
		file->queue.lease = NULL;
		free(lease);
		ipcfs_text_free(&file->text);
		file->at = 0;
		return ipcfs_file_charge(fs, file);
	}
	ipcfs_quota_lease_goes_on(fs->quota, lease->holder.uid);
	DL_INSERT_INORDER(object->queue.leases, lease, compare);
	return 0;
}

void ipcfs_lease_drop(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	const struct ipcfs_queue_ops *queue = ipcfs_file_object(fs, file)->class->queue;

	if (queue->kept && file->queue.lease && queue->kept(-1, file->queue.lease->kept))
		queue->forget(file->queue.lease->kept);
}

void ipcfs_lease_taken_back(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_text text = { 0 };
	struct ipcfs_lease *lease = detach(fs, file, &text, false, 0);

	ipcfs_transfer_count(ipcfs_file_object(fs, file), IPCFS_MOVE_RETURNED);
	ipcfs_text_free(&text);
	returned(fs, file, lease);
}
