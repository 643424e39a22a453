/* SPDX-License-Identifier: MIT */
/*
 * Holds: one is taken when hold is opened for writing, and given back when the open file is closed, by
 * whichever of the processes that share it closes it last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "reply.h"
#include "semaphore.h"

struct ipcfs_hold {
	uint32_t number;
	pid_t pid;
	uid_t uid;
	time_t since;
	struct ipcfs_hold *next, *prev;
};

/* Its place among the holds of its semaphore, the newest being 1. Called with holds_lock held. */
static unsigned rank_of(const struct ipcfs_object *object, const struct ipcfs_hold *hold)
{
	const struct ipcfs_hold *at;
	unsigned rank = 1;

	for (at = object->holds; at != hold; at = at->next)
		rank += at->number == hold->number;
	return rank;
}

/* What is asked of a semaphore by the thread that has what is held of it. */
struct question {
	const struct ipcfs_semaphore_ops *semaphore;
	int handle;
	uint32_t number;
	unsigned amount; /* rank; holds taken */
};

static int give_back(void *arg)
{
	const struct question *question = arg;

	return question->semaphore->give_back(question->handle, question->number, question->amount);
}

static int count_held(void *arg)
{
	const struct question *question = arg;

	return question->semaphore->held(question->handle, question->number, question->amount);
}

void ipcfs_hold_release(struct ipcfs_open *open)
{
	struct ipcfs_object *object = open->object;
	struct ipcfs_hold *hold = open->hold;
	struct question question = {
		.semaphore = object->class->semaphore,
		.handle = open->handle[IPCFS_SEND],
		.number = hold->number,
	};

	/*
	 * The lock is held over the call, which does not block: two holds that are given back at once
	 * would each count on the other's place.
	 */
	pthread_mutex_lock(&object->holds_lock);
	/* An error is that of a semaphore that is gone, and nobody could be told. */
	question.amount = rank_of(object, hold);
	(void)ipcfs_space_run(object->space, give_back, &question);
	DL_DELETE(object->holds, hold);
	pthread_mutex_unlock(&object->holds_lock);
	open->hold = NULL;
	free(hold);
}

static void forget_open(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	ipcfs_semaphore_release(fs, open);
	ipcfs_open_free(fs, open);
}

static void answer_hold(struct ipcfs_waiter *waiter, ssize_t result)
{
	struct ipcfs_filesystem *fs = waiter->fs;
	struct ipcfs_open *open = waiter->open;
	struct ipcfs_object *object = open->object;
	struct ipcfs_hold *hold = waiter->hold;

	ipcfs_text_free(&waiter->data);
	if (result) {
		free(hold);
		forget_open(fs, open);
		ipcfs_reply_error(waiter->req, (int)result);
		return;
	}
	hold->since = time(NULL);
	pthread_mutex_lock(&object->holds_lock);
	DL_PREPEND(object->holds, hold);
	pthread_mutex_unlock(&object->holds_lock);
	open->hold = hold;
	/* An opener who was killed meanwhile has the file all the same, and closes it. */
	if (ipcfs_reply_open(waiter->req, open, IPCFS_OPEN_DIRECT_IO | IPCFS_OPEN_NOFLUSH) ==
	    -ENOENT)
		forget_open(fs, open);
}

void ipcfs_hold_open(fuse_req_t req, struct ipcfs_open *open, int flags)
{
	const struct ipcfs_node_key *key = &open->node->key;
	struct ipcfs_semaphore_op op = { .number = (uint32_t)key->selector, .delta = -1 };
	struct ipcfs_waiter waiter;
	int err;

	ipcfs_semaphore_start(&waiter, req, open);
	waiter.answer = answer_hold;
	waiter.hold = calloc(1, sizeof(*waiter.hold));
	err = waiter.hold ? ipcfs_text_add(&waiter.data, &op, sizeof(op)) : -ENOMEM;
	if (err) {
		answer_hold(&waiter, err);
		return;
	}
	waiter.hold->number = op.number;
	waiter.hold->pid = waiter.tid;
	waiter.hold->uid = waiter.uid;
	ipcfs_semaphore_go(&waiter, key->kind == IPCFS_NODE_TRYHOLD || (flags & O_NONBLOCK));
}

/* How many of the holds of this semaphore still count. Called with holds_lock held. */
static int still_held(const struct ipcfs_object *object, int handle, uint32_t number)
{
	const struct ipcfs_hold *hold;
	struct question question = {
		.semaphore = object->class->semaphore,
		.handle = handle,
		.number = number,
	};

	question.amount = 0;
	DL_FOREACH (object->holds, hold)
		question.amount += hold->number == number;
	return ipcfs_space_run(object->space, count_held, &question);
}

int ipcfs_hold_status(struct ipcfs_object *object, int handle, struct ipcfs_text *out)
{
	const struct ipcfs_hold *hold, *last = NULL;
	unsigned rank = 0, n = 0;
	int held = 0, err = 0;

	pthread_mutex_lock(&object->holds_lock);
	DL_FOREACH (object->holds, hold) {
		if (err)
			break;
		if (last && last->number == hold->number) {
			rank++;
		} else {
			rank = rank_of(object, hold);
			held = still_held(object, handle, hold->number);
		}
		last = hold;
		/* where it can't be told, all are shown */
		if (held >= 0 && rank > (unsigned)held)
			continue;
		n++;
		err = ipcfs_text_printf(out,
					"holder_%u_pid=%d\nholder_%u_uid=%u\n"
					"holder_%u_since=%lld\nholder_%u_semaphore=%u\n",
					n, hold->pid, n, hold->uid, n, (long long)hold->since, n,
					hold->number);
	}
	pthread_mutex_unlock(&object->holds_lock);
	return err ? err : ipcfs_text_printf(out, "holders=%u\n", n);
}
