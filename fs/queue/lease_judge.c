/* SPDX-License-Identifier: MIT */
#include "fs/queue/lease_judge.h"

#include <errno.h>
#include <syslog.h>

#include "backends/contract/fault.h"
#include "fs/base/log.h"
#include "fs/base/log_share.h"
#include "fs/queue/lease.h"
#include "fs/queue/lease_dead.h"
#include "fs/queue/lease_verdict.h"
#include "fs/request/lease_item.h"
#include "fs/request/reply.h"
#include "fs/wait/waits.h"

#define BROKER_NS 2000000000ULL /* a broker, or ipcfs-amqp, has so long to answer */

/* A verdict that waits: for another queue to have the message, or for the lease to be settled. */
struct verdict {
	struct ipcfs_waiter base;
	size_t size; /* of the write, bytes */
	enum ipcfs_settlement how;
	struct ipcfs_lease_sending sending;
	bool told;  /* the attempt has found the result */
	int result; /* which is this */
};

/* Notes the result of an attempt, a negative errno or 0, and returns that of the waiter. */
static ssize_t note(struct ipcfs_waiter *base, int result)
{
	struct verdict *verdict = (struct verdict *)(void *)base;

	if (result == -EINPROGRESS)
		return -EAGAIN;
	verdict->told = true;
	verdict->result = result;
	return result ? -ECANCELED : 0; /* which is not EAGAIN */
}

/* Returns the result of a wait that has ended. */
static int result_of(const struct verdict *verdict, ssize_t result)
{
	if (verdict->told)
		return verdict->result;
	return result == -ETIMEDOUT ? -EHOSTDOWN : (int)result;
}

/* Parks a verdict for an object, before those who wait for its messages or for room. */
static void park(struct verdict *verdict)
{
	struct ipcfs_waiter *base = &verdict->base;
	int err;

	base->first = base->untried = true;
	base->counted = false; /* there are no more of them than leases */
	base->ignores_default_signals = true;
	base->deadline = ipcfs_clock_ns() + BROKER_NS;
	err = ipcfs_waits_park(base->fs->waits, base);
	if (err)
		base->ops->answer(base, err);
}

static ssize_t attempt_settle(struct ipcfs_waiter *base, bool wait)
{
	const struct verdict *verdict = (const struct verdict *)(void *)base;

	(void)wait; /* a pollable queue never waits here */
	return note(base, base->object->class->queue->settle(
				  base->handle, base->file->queue.lease->token, verdict->how));
}

/*
 * Ends a lease that was settled or, after an error, not: the queue has the message then. A lease
 * that does not know yet is given back, which does nothing if it is settled.
 */
static void end_settled(struct verdict *verdict, int err)
{
	const struct ipcfs_waiter *base = &verdict->base;

	if (err == -EHOSTDOWN && !verdict->told)
		base->object->class->queue->give_back(base->handle, base->file->queue.lease->token);
	if (!err && verdict->how != IPCFS_SETTLE_AGAIN)
		ipcfs_lease_end(base->fs, base->file, verdict->size);
	else
		ipcfs_lease_taken_back(base->fs, base->file);
}

/* Answers a verdict. One that was interrupted leaves the lease as it is: the next one goes on. */
static void answer_settle(struct ipcfs_waiter *base, ssize_t result)
{
	struct verdict *verdict = (struct verdict *)(void *)base;
	int err = result_of(verdict, result);

	if (verdict->told || err == -EHOSTDOWN)
		end_settled(verdict, err);
	if (err)
		ipcfs_waits_recheck(base->fs->waits, base->object); /* those behind it */
	ipcfs_waiter_release(base);
	ipcfs_reply_write(base->req, err, verdict->size);
}

static const struct ipcfs_waiter_ops settle_ops = {
	.size = sizeof(struct verdict),
	.attempt = attempt_settle,
	.answer = answer_settle,
};

/* Tells the queue the verdict on the message that it has leased, and answers the write. */
static void settle(fuse_req_t req, struct ipcfs_file *file, enum ipcfs_settlement how, size_t size)
{
	struct verdict verdict = {
		.base = ipcfs_waiter_of(req, file, IPCFS_RECEIVE, &settle_ops),
		.size = size,
		.how = how,
	};

	/* also where another one stands before it */
	if (attempt_settle(&verdict.base, false) == -EAGAIN)
		park(&verdict);
	else
		answer_settle(&verdict.base, 0);
}

/* Ends the lease of a message that is elsewhere now, and answers the write. */
static void end_elsewhere(fuse_req_t req, struct ipcfs_file *file, size_t size)
{
	(void)ipcfs_fault("lease.dead");
	if (ipcfs_file_object(ipcfs_of(req), file)->class->queue->lease) {
		settle(req, file, IPCFS_SETTLE_DONE, size);
		return;
	}
	ipcfs_lease_end(ipcfs_of(req), file, size);
	ipcfs_reply_write(req, 0, size);
}

static ssize_t attempt_sent(struct ipcfs_waiter *base, bool wait)
{
	const struct verdict *verdict = (const struct verdict *)(void *)base;

	(void)wait;
	return note(base, base->object->class->queue->sent(base->handle, verdict->sending.token));
}

static void answer_sent(struct ipcfs_waiter *base, ssize_t result)
{
	struct verdict *verdict = (struct verdict *)(void *)base;
	int err = result_of(verdict, result);

	if (err)
		ipcfs_waits_recheck(base->fs->waits, base->object);
	ipcfs_lease_dead_end(base->fs, &verdict->sending, err);
	ipcfs_waiter_release(base);
	if (err)
		ipcfs_reply_write(base->req, err == -EIDRM ? -ENOENT : err, verdict->size);
	else
		end_elsewhere(base->req, base->file, verdict->size);
}

static const struct ipcfs_waiter_ops sent_ops = {
	.size = sizeof(struct verdict),
	.attempt = attempt_sent,
	.answer = answer_sent,
};

/* Waits until a broker has the message of a lease. */
static void await_sent(fuse_req_t req, struct ipcfs_file *file, size_t size,
		       const struct ipcfs_lease_sending *sending)
{
	struct verdict verdict = {
		.base = ipcfs_waiter_of(req, file, IPCFS_SEND, &sent_ops),
		.size = size,
		.sending = *sending,
	};

	verdict.base.object = sending->object;
	verdict.base.handle = sending->handle;
	verdict.base.kept = file->queue.lease->size; /* the class's copy */
	park(&verdict);
}

/* Sends the message of the file's lease to another queue, ends the lease, and answers the write. */
static void send_elsewhere(fuse_req_t req, struct ipcfs_file *file, const char *queue, size_t size)
{
	const struct ipcfs_lease *lease = file->queue.lease;
	const struct ipcfs_text message = { .data = file->text.data, .size = lease->size };
	struct ipcfs_lease_sending sending;
	int err = ipcfs_lease_dead(req, file, lease->mark.type, &message, queue, &sending);

	if (err == -EINPROGRESS)
		await_sent(req, file, size, &sending);
	else if (err)
		ipcfs_reply_write(req, err, size);
	else
		end_elsewhere(req, file, size);
}

/* Logs the queue and the size of a message that is dropped. */
static void log_drop(const struct ipcfs_object *object, const struct ipcfs_file *file)
{
	static struct ipcfs_log_share logged = { .lock = PTHREAD_MUTEX_INITIALIZER };
	unsigned long left_out;

	if (!ipcfs_log_may(&logged, &left_out))
		return;
	if (left_out)
		ipcfs_log(LOG_NOTICE, "%lu messages that were dropped as dead were not logged",
			  left_out);
	ipcfs_log(LOG_NOTICE, "a message of %s/%s/%s is dropped as dead, by uid %u: %zu bytes",
		  object->class->family, object->class->name, object->ref.name, file->opener.uid,
		  file->text.size);
}

/* Does what a verdict says that sends nothing elsewhere, where the daemon has the message. */
static void end_here(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     enum ipcfs_settlement how, size_t size)
{
	if (how == IPCFS_SETTLE_AGAIN) {
		ipcfs_lease_release(fs, file, size);
		return;
	}
	if (how == IPCFS_SETTLE_DEAD)
		log_drop(ipcfs_file_object(fs, file), file);
	ipcfs_lease_end(fs, file, size);
}

void ipcfs_lease_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	static const enum ipcfs_settlement ways[] = {
		[IPCFS_VERDICT_DONE] = IPCFS_SETTLE_DONE,
		[IPCFS_VERDICT_AGAIN] = IPCFS_SETTLE_AGAIN,
		[IPCFS_VERDICT_DEAD] = IPCFS_SETTLE_DEAD,
	};
	struct ipcfs_lease_verdict verdict;
	int err = ipcfs_lease_verdict_parse(io->bytes, io->size, &verdict);

	/* The kernel sends one write of an open file at a time: the lease stays. */
	if (!err && !ipcfs_lease_is_held(file))
		err = -EPERM;
	if (err) {
		ipcfs_reply_write(req, err, io->size);
	} else if (verdict.verdict == IPCFS_VERDICT_DEAD && *verdict.queue) {
		send_elsewhere(req, file, verdict.queue, io->size);
	} else if (ipcfs_file_object(ipcfs_of(req), file)->class->queue->lease) {
		settle(req, file, ways[verdict.verdict], io->size);
	} else {
		end_here(ipcfs_of(req), file, ways[verdict.verdict], io->size);
		ipcfs_reply_write(req, 0, io->size);
	}
}
