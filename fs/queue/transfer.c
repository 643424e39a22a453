/* SPDX-License-Identifier: MIT */
/* How messages go back is modelled in docs/dev/model: wait.pml and lease.pml. */
#include "fs/queue/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "backends/contract/fault.h"
#include "fs/base/effects.h"
#include "fs/base/log.h"
#include "fs/queue/detached.h"
#include "fs/queue/framing.h"
#include "fs/request/file_check.h"
#include "fs/wait/waits.h"

#define SPARE 4		   /* messages for which a queue has plenty of room */
#define NOBODY ((uid_t)-1) /* pays for empty messages that no reader waits for any more */

struct ipcfs_message *ipcfs_transfer_message(struct ipcfs_text *buffer, size_t capacity)
{
	struct ipcfs_message *message;

	ipcfs_text_cut(buffer, 0);
	if (ipcfs_text_reserve(buffer, sizeof(struct ipcfs_message) + capacity))
		return NULL;
	message = (struct ipcfs_message *)(void *)buffer->data;
	message->token = 0;
	return message;
}

void ipcfs_transfer_count(const struct ipcfs_object *object, enum ipcfs_move move)
{
	ipcfs_registry_count(object->space, ipcfs_class_number(object->class), move);
}

/*
 * Finds the next message to send. Returns 1 and fills *frame, or returns 0: no whole message is
 * left.
 * -EINVAL, -ERANGE: a tagged line or a record has no valid type, or the last record no end.
 */
static int next_frame(const struct ipcfs_queue_waiter *waiter, struct ipcfs_frame *frame)
{
	size_t size = waiter->data.size - waiter->handed;
	int found;

	if (waiter->framing == IPCFS_FRAMING_NONE) {
		*frame = (struct ipcfs_frame){ .type = waiter->type, .size = size, .length = size };
		return !waiter->whole;
	}
	if (size == 0)
		return 0;
	found = ipcfs_frame_next(waiter->framing, waiter->data.data + waiter->handed, size,
				 waiter->last, waiter->base.object->class->queue, frame);
	if (found == 1 && waiter->framing == IPCFS_FRAMING_LINES)
		frame->type = waiter->type;
	return found;
}

/*
 * Checks that the unfinished line or record may still become a message.
 * -EMSGSIZE: it is longer than any message of this queue.
 * The errors of fstat in struct ipcfs_queue_ops.
 */
static int check_unfinished(struct ipcfs_queue_waiter *waiter)
{
	size_t rest = waiter->data.size - waiter->handed;
	struct ipcfs_info info;
	int err;

	if (waiter->framing == IPCFS_FRAMING_NONE || rest == 0)
		return 0;
	err = waiter->base.object->class->queue->fstat(waiter->base.handle, &info);
	if (err)
		return err;
	rest = ipcfs_frame_unfinished(waiter->framing, waiter->data.data + waiter->handed, rest);
	return rest > info.max_message ? -EMSGSIZE : 0;
}

/* Notes that the first `length` bytes behind what was sent are sent. */
static void note_sent(struct ipcfs_queue_waiter *waiter, size_t length)
{
	waiter->sent += length;
	if (!waiter->returns)
		ipcfs_transfer_count(waiter->base.object, IPCFS_MOVE_SENT);
}

/* Notes a message that the class has taken over. -ENOMEM: it forgets the message. */
static int note_underway(struct ipcfs_queue_waiter *waiter, uint64_t token, size_t length)
{
	const struct ipcfs_underway underway = { .token = token, .length = length };
	int err = ipcfs_text_add(&waiter->underway, &underway, sizeof(underway));

	if (err)
		waiter->base.object->class->queue->unsend(waiter->base.handle, token);
	return err;
}

/*
 * Looks whether the queue has room for a message. *plenty: also for SPARE more, which others may be
 * sending. -EAGAIN: it has none; or the errors of fstat.
 */
static int look_for_room(const struct ipcfs_queue_waiter *waiter, size_t size, bool *plenty)
{
	struct ipcfs_info info = { 0 };
	int err = waiter->base.object->class->queue->fstat(waiter->base.handle, &info);
	uint64_t used = info.max_bytes ? info.size : info.messages;
	uint64_t all = info.max_bytes ? info.max_bytes : info.max_messages;
	uint64_t needed = info.max_bytes ? size : 1;

	if (err)
		return err;
	*plenty = used + (SPARE + 1) * needed <= all;
	return used + needed <= all ? 0 : -EAGAIN;
}

/*
 * Sends a message. If the worker is killed in a call that does not wait, its successor takes the
 * message for sent where there was plenty of room. Errors as send in struct ipcfs_queue_ops.
 */
static int send_new(const struct ipcfs_queue_waiter *waiter, struct ipcfs_message *message,
		    size_t size, bool wait)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	bool plenty = false;
	int err = 0;

	if (!wait && !queue->sent && ipcfs_effects_is_noted())
		err = look_for_room(waiter, size, &plenty);
	if (err == -EAGAIN)
		return err; /* another error send tells, too */
	if (!wait)
		ipcfs_effects_calling(plenty);
	err = queue->send(waiter->base.handle, message, size, wait);
	ipcfs_effects_called(!err);
	return err;
}

/*
 * Sends a message, unless a worker before has. Errors as send in struct ipcfs_queue_ops.
 * -EIO: a worker has died in the call, and the queue was nearly full: nobody knows.
 */
static int send_noted(const struct ipcfs_queue_waiter *waiter, struct ipcfs_message *message,
		      size_t size, bool wait)
{
	enum ipcfs_call call = ipcfs_effects_call();

	if (call == IPCFS_CALL_NEW)
		return send_new(waiter, message, size, wait);
	if (call == IPCFS_CALL_DONE)
		return 0;
	ipcfs_effects_called(call == IPCFS_CALL_SURELY);
	return call == IPCFS_CALL_SURELY ? 0 : -EIO;
}

int ipcfs_transfer_send_elsewhere(struct ipcfs_object *object, int handle,
				  struct ipcfs_message *message, size_t size)
{
	const struct ipcfs_queue_waiter waiter = { .base = { .object = object, .handle = handle } };

	if (object->class->queue->sent)
		(void)ipcfs_effects_act(); /* the result comes later, and not to the next worker */
	return send_noted(&waiter, message, size, false);
}

/* Gives the class one message. Errors as send in struct ipcfs_queue_ops, but -EINPROGRESS. */
static int hand_one(struct ipcfs_queue_waiter *waiter, const struct ipcfs_frame *frame,
		    struct ipcfs_text *buffer, bool wait)
{
	struct ipcfs_message *message = ipcfs_transfer_message(buffer, frame->size);
	int err;

	if (!message)
		return -ENOMEM;
	message->type = frame->type;
	if (frame->size)
		memcpy(message->text, waiter->data.data + waiter->handed + frame->start,
		       frame->size);
	buffer->size = sizeof(*message) + frame->size;
	err = send_noted(waiter, message, frame->size, wait);
	if (!err)
		note_sent(waiter, frame->length);
	else if (err == -EINPROGRESS)
		err = note_underway(waiter, message->token, frame->length);
	if (err)
		return err;
	waiter->handed += frame->length;
	waiter->whole = waiter->framing == IPCFS_FRAMING_NONE;
	return 0;
}

/* Gives the class every whole message. Errors as ipcfs_transfer_send, or -ENOBUFS. */
static int hand_all(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer, bool wait)
{
	struct ipcfs_frame frame;
	int err;

	while ((err = next_frame(waiter, &frame)) > 0) {
		err = hand_one(waiter, &frame, buffer, wait);
		if (err || waiter->whole)
			return err;
	}
	return err ? err : check_unfinished(waiter);
}

/* Returns whether `sent` knows a message after this result. */
static bool is_underway(int result)
{
	return result == -EINPROGRESS || result == -EAGAIN || result == -EHOSTDOWN;
}

/* Notes what was sent of that which the class has taken over. Errors as of `sent`. */
static int collect(struct ipcfs_queue_waiter *waiter)
{
	while (waiter->underway.size) {
		const struct ipcfs_underway first =
			*(const struct ipcfs_underway *)(const void *)waiter->underway.data;
		int err = waiter->base.object->class->queue->sent(waiter->base.handle, first.token);

		if (is_underway(err))
			return err;
		ipcfs_text_drop(&waiter->underway, sizeof(first));
		if (err)
			return err;
		note_sent(waiter, first.length);
	}
	return 0;
}

/* Sends every whole message. Errors as ipcfs_transfer_send. */
static int send_all(struct ipcfs_queue_waiter *waiter, struct ipcfs_text *buffer, bool wait)
{
	int err = collect(waiter), handed;

	if (err && err != -EINPROGRESS)
		return err;
	handed = hand_all(waiter, buffer, wait);
	/* an error of a later message counts when the earlier ones are sent */
	if (waiter->underway.size)
		return -EINPROGRESS;
	return handed == -ENOBUFS ? -EAGAIN : handed; /* other writers have all the places */
}

int ipcfs_transfer_for_waits(const struct ipcfs_queue_waiter *waiter, int err)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	uint64_t end = 0;

	if ((err != -EINPROGRESS && err != -EHOSTDOWN) || waiter->hurried)
		return err;
	if (queue->patience && waiter->begun)
		end = queue->patience(waiter->base.handle, waiter->begun);
	return end && ipcfs_clock_ns() >= end ? -ETIMEDOUT : -EAGAIN;
}

size_t ipcfs_transfer_copied(const struct ipcfs_queue_waiter *waiter)
{
	return waiter->base.object->class->queue->sent ? waiter->data.size : 0;
}

ssize_t ipcfs_transfer_send(struct ipcfs_waiter *base, bool wait)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);
	struct ipcfs_text buffer = { 0 };
	size_t before = waiter->sent;
	struct ipcfs_perm perm;
	int err;

	if (waiter->base.file)
		err = ipcfs_file_check(waiter->base.fs, waiter->base.file, IPCFS_SEND,
				       waiter->base.tid);
	else
		err = waiter->base.object->class->queue->perm(waiter->base.handle, &perm);
	if (err)
		return err;
	err = send_all(waiter, &buffer, wait);
	ipcfs_text_free(&buffer);
	if (waiter->sent != before || !err)
		ipcfs_waits_check_pollers(waiter->base.fs->waits, waiter->base.object);
	return ipcfs_transfer_for_waits(waiter, err);
}

void ipcfs_transfer_forget(struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_queue_ops *queue = waiter->base.object->class->queue;
	const struct ipcfs_underway *underway = (const void *)waiter->underway.data;

	for (size_t i = 0; i < waiter->underway.size / sizeof(*underway); i++)
		queue->unsend(waiter->base.handle, underway[i].token);
	ipcfs_text_cut(&waiter->underway, 0);
}

void ipcfs_transfer_clear(struct ipcfs_queue_waiter *waiter)
{
	ipcfs_waiter_release(&waiter->base);
	ipcfs_text_free(&waiter->data);
	ipcfs_text_free(&waiter->taken);
	ipcfs_text_free(&waiter->underway);
}

/*
 * Logs that a message is lost, since no caller waits for the answer. A message that is gone
 * together with its queue is no loss.
 */
static void report_lost(const struct ipcfs_object *object, int err)
{
	if (err != -EIDRM && err != -ENOENT)
		ipcfs_log(LOG_ERR, "a message for %s/%s/%s is lost: %s", object->class->family,
			  object->class->name, object->ref.name, strerror(-err));
}

/*
 * Reports a message that is not sent. It is forgotten, unless it is sent at the daemon's end, or by
 * the next worker. -ENOTCONN: the daemon ends now.
 */
static void report_unsent(struct ipcfs_queue_waiter *waiter, int err)
{
	const struct ipcfs_object *object = waiter->base.object;

	if (waiter->kept && err == -ENOTCONN)
		return;
	if (waiter->kept && (err == -ENOMEM || err == -EAGAIN)) {
		ipcfs_log(LOG_ERR, "a message for %s/%s/%s is not sent before ipcfs ends: %s",
			  object->class->family, object->class->name, object->ref.name,
			  strerror(-err));
		return;
	}
	report_lost(object, err);
	if (waiter->kept)
		object->class->queue->forget(waiter->kept);
	ipcfs_detached_drop(waiter);
}

static void answer_detached(struct ipcfs_waiter *base, ssize_t result)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base);

	(void)ipcfs_fault("detached.sent");
	if (result < 0) {
		report_unsent(waiter, (int)result);
	} else {
		if (waiter->kept)
			base->object->class->queue->forget(waiter->kept);
		(void)ipcfs_fault("detached.forgotten");
		ipcfs_detached_drop(waiter);
	}
	ipcfs_transfer_forget(waiter);
	ipcfs_transfer_clear(waiter);
	ipcfs_object_close(&base->fs->objects, base->object, IPCFS_SEND);
}

/* Attempts to send as ipcfs_transfer_send. The effect is the message's, not a request's. */
static ssize_t attempt_detached(struct ipcfs_waiter *base, bool wait)
{
	struct ipcfs_effects *effects = ipcfs_detached_effects(ipcfs_queue_waiter(base)), *before;
	ssize_t result;

	if (!effects)
		return ipcfs_transfer_send(base, wait);
	before = ipcfs_effects_use(effects);
	result = ipcfs_transfer_send(base, wait);
	ipcfs_effects_use(before);
	return result;
}

static const struct ipcfs_waiter_ops detached_ops = {
	.size = sizeof(struct ipcfs_queue_waiter),
	.attempt = attempt_detached,
	.answer = answer_detached,
};

/*
 * Makes the waiter a detached one, with a handle of its own.
 * The errors of ipcfs_object_open.
 */
static int detach(struct ipcfs_waiter *base)
{
	base->ops = &detached_ops;
	base->req = NULL;
	base->deadline = 0;
	base->file = NULL;
	base->direction = IPCFS_SEND;
	return ipcfs_object_open(&base->fs->objects, base->object, IPCFS_SEND, &base->handle);
}

/* Drops the waiter's copy of a message that a worker before has handed over. */
static void drop_copy(struct ipcfs_queue_waiter *waiter)
{
	if (waiter->kept)
		waiter->base.object->class->queue->forget(waiter->kept);
	ipcfs_transfer_clear(waiter);
}

void ipcfs_transfer_send_detached(struct ipcfs_queue_waiter *waiter)
{
	struct ipcfs_waiter *base = &waiter->base;
	ssize_t result = -EAGAIN;
	int err;

	(void)ipcfs_fault("queue.detached");
	if (!waiter->saved && !ipcfs_detached_hand_over(waiter)) {
		drop_copy(waiter);
		return;
	}
	err = detach(base);
	base->counted = false;
	if (err) {
		report_unsent(waiter, err);
		ipcfs_transfer_clear(waiter);
		return;
	}
	if (base->first || base->object->waits.parked[IPCFS_SEND] == 0)
		result = attempt_detached(base, false);
	if (result == -EAGAIN) {
		result = ipcfs_waits_park(base->fs->waits, base);
		if (!result)
			return;
	}
	answer_detached(base, result);
}

/*
 * Finds the message that the waiter waits to send, and checks that the queue may take it. Returns 1
 * and fills *frame, or returns 0: nothing is left to send.
 * The errors of ipcfs_transfer_detach.
 */
static int next_to_detach(struct ipcfs_queue_waiter *waiter, struct ipcfs_frame *frame)
{
	const struct ipcfs_waiter *base = &waiter->base;
	struct ipcfs_info info;
	int err = ipcfs_file_check_fstat(base->fs, base->file, IPCFS_SEND, base->tid, &info);

	if (err)
		return err;
	err = next_frame(waiter, frame);
	return err > 0 && frame->size > info.max_message ? -EMSGSIZE : err;
}

/* Returns a detached copy of the waiter, on the heap, with these bytes to send. NULL: no memory. */
static struct ipcfs_queue_waiter *detached_copy(const struct ipcfs_queue_waiter *waiter,
						const char *bytes, size_t size)
{
	struct ipcfs_queue_waiter *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *waiter;
	copy->data = copy->taken = copy->underway = (struct ipcfs_text){ 0 };
	copy->sent = copy->handed = copy->carried = 0;
	copy->saved = 0;
	copy->begun = 0;
	copy->last = true;
	if (ipcfs_text_add(&copy->data, bytes, size) || detach(&copy->base)) {
		ipcfs_text_free(&copy->data);
		free(copy);
		return NULL;
	}
	return copy;
}

/* Makes a copy that waits for the result of all that the class has taken over. NULL: no memory. */
static struct ipcfs_queue_waiter *detach_underway(struct ipcfs_queue_waiter *waiter)
{
	size_t length = waiter->handed - waiter->sent;
	struct ipcfs_queue_waiter *copy = detached_copy(waiter, waiter->data.data + waiter->sent,
							length);

	if (!copy)
		return NULL;
	copy->underway = waiter->underway;
	copy->handed = length;
	waiter->underway = (struct ipcfs_text){ 0 };
	waiter->sent = waiter->handed;
	return copy;
}

/* Makes a copy that sends this next message. NULL: no memory. */
static struct ipcfs_queue_waiter *detach_next(struct ipcfs_queue_waiter *waiter,
					      const struct ipcfs_frame *frame)
{
	struct ipcfs_queue_waiter *copy = detached_copy(waiter, waiter->data.data + waiter->sent,
							frame->length);

	if (copy)
		waiter->sent = waiter->handed += frame->length;
	return copy;
}

/* Frees a copy whose message a worker before has sent or handed over. */
static void free_copy(struct ipcfs_queue_waiter *copy)
{
	ipcfs_object_close(&copy->base.fs->objects, copy->base.object, IPCFS_SEND);
	ipcfs_text_free(&copy->data);
	free(copy);
}

ssize_t ipcfs_transfer_detach(struct ipcfs_waiter *base, struct ipcfs_waiter **detached)
{
	struct ipcfs_queue_waiter *waiter = ipcfs_queue_waiter(base), *copy;
	bool underway = waiter->underway.size > 0;
	struct ipcfs_frame frame;
	int found = underway ? 1 : next_to_detach(waiter, &frame);

	if (found <= 0)
		return found;
	copy = underway ? detach_underway(waiter) : detach_next(waiter, &frame);
	if (!copy)
		return -ENOMEM;
	if (underway || ipcfs_detached_hand_over(copy))
		*detached = &copy->base;
	else
		free_copy(copy);
	if (waiter->framing == IPCFS_FRAMING_NONE)
		return 0;
	return next_frame(waiter, &frame) ? -EINTR : 0;
}

/* Puts back as ipcfs_transfer_put_back. `kept`: the message's number, of `keep`; 0: none. */
static void put_back(const struct ipcfs_waiter *of, const struct ipcfs_taken *taken,
		     const char *text, uint64_t kept)
{
	const struct ipcfs_queue_ops *queue = of->object->class->queue;
	struct ipcfs_queue_waiter waiter = {
		.base = { .fs = of->fs, .object = of->object, .uid = of->uid },
		.type = taken->type,
		.kept = kept,
		.framing = IPCFS_FRAMING_NONE,
		.last = true,
		.returns = true,
	};
	int err;

	of->object->queue.returned++;
	ipcfs_object_save(&of->fs->objects, of->object);
	ipcfs_transfer_count(of->object, IPCFS_MOVE_RETURNED);
	(void)ipcfs_fault("queue.put_back");
	if (queue->give_back) {
		queue->give_back(of->handle, taken->token);
		return;
	}
	err = ipcfs_text_add(&waiter.data, text, taken->size);
	waiter.base.charged = ipcfs_quota_charge_kept(
		of->fs->quota, of->uid,
		waiter.data.capacity + (kept ? taken->size + IPCFS_LEASE_BYTES : 0));
	if (err)
		report_unsent(&waiter, err);
	else
		ipcfs_transfer_send_detached(&waiter);
}

void ipcfs_transfer_put_back(const struct ipcfs_waiter *of, const struct ipcfs_taken *taken,
			     const char *text)
{
	put_back(of, taken, text, 0);
}

void ipcfs_transfer_put_back_all(struct ipcfs_queue_waiter *waiter)
{
	const struct ipcfs_taken *taken = (const void *)waiter->taken.data;
	size_t count = waiter->taken.size / sizeof(*taken);

	for (size_t i = 0; i < count; i++)
		put_back(&waiter->base, &taken[i], waiter->data.data + taken[i].start,
			 waiter->kept);
	waiter->kept = 0;
	ipcfs_text_cut(&waiter->data, 0);
	ipcfs_text_cut(&waiter->taken, 0);
}

void ipcfs_transfer_unclaimed(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type)
{
	const struct ipcfs_waiter nobody = { .fs = fs, .object = object, .uid = NOBODY };
	const struct ipcfs_taken taken = { .type = type };

	ipcfs_transfer_count(object, IPCFS_MOVE_RECEIVED);
	ipcfs_transfer_put_back(&nobody, &taken, NULL);
}
