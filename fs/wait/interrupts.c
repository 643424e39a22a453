/* SPDX-License-Identifier: MIT */
#include "fs/wait/interrupts.h"

#include <errno.h>
#include <pthread.h>
#include <utlist.h>

#include "fs/access/caller.h"
#include "fs/wait/waiter.h"
#include "fs/wait/waits_inside.h"

#define ASKED_MAX 64 /* callers whose signals are read with the lock released once */

/* A caller whose pending signals are read, which takes /proc, and so without the lock. */
struct question {
	pid_t tid;
	bool again;
	enum ipcfs_interrupt answer;
};

/* Returns whether an interrupt ends the wait only if the caller's signals say so. */
static bool depends_on_signals(const struct ipcfs_waiter *waiter)
{
	return waiter->wq && waiter->ignores_default_signals;
}

/*
 * Chooses interrupted waiters whose signals have to be read, each once in a round. Returns how many;
 * ASKED_MAX: there may be more. Call with the lock held.
 */
static unsigned choose(struct ipcfs_waits *waits, bool ignored_too, struct question *questions)
{
	struct ipcfs_waiter *waiter;
	unsigned count = 0;

	for (waiter = waits->interrupted; waiter && count < ASKED_MAX;
	     waiter = waiter->next_interrupted) {
		if (waiter->parking || waiter->asked_round == waits->round ||
		    !depends_on_signals(waiter) || (waiter->interrupt_ignored && !ignored_too))
			continue;
		questions[count++] = (struct question){
			.tid = waiter->tid,
			.again = waiter->interrupt_ignored,
		};
		waiter->asked = count;
		waiter->asked_round = waits->round;
	}
	return count;
}

/*
 * Decides about an interrupted wait. Returns whether it ends; whether the waiter detaches is then
 * set. Call with the lock held.
 */
static bool is_ended_by_interrupt(struct ipcfs_waiter *waiter, enum ipcfs_interrupt interrupt)
{
	if (waiter->ops->detach && interrupt != IPCFS_INTERRUPT_NONE)
		waiter->detaches = interrupt == IPCFS_INTERRUPT_PAUSE ||
				   (interrupt == IPCFS_INTERRUPT_CAUGHT && waiter->closes);
	return interrupt != IPCFS_INTERRUPT_NONE;
}

/*
 * Decides about an interrupted waiter with the answer to its question. Returns whether it goes on
 * waiting, also where it was not asked about yet. Call with the lock held.
 */
static bool goes_on(struct ipcfs_waiter *waiter, const struct question *questions)
{
	enum ipcfs_interrupt interrupt = IPCFS_INTERRUPT_CAUGHT;

	if (!waiter->wq)
		return false; /* it ends already */
	if (depends_on_signals(waiter)) {
		if (!waiter->asked)
			return true;
		interrupt = questions[waiter->asked - 1].answer;
		waiter->asked = 0;
	}
	if (is_ended_by_interrupt(waiter, interrupt))
		return false;
	/* The kernel sends INTERRUPT once: a later signal is found by looking. */
	waiter->interrupt_ignored = true;
	return true;
}

/*
 * Ends the waits that are interrupted, but for those that go on. Returns those that are to be
 * finished, linked by next_interrupted. Call with the lock held.
 */
static struct ipcfs_waiter *end_interrupted(struct ipcfs_waits *waits,
					    const struct question *questions)
{
	struct ipcfs_waiter *waiter, *next, *done = NULL;

	waits->interrupts_ignored = 0;
	LL_FOREACH_SAFE2(waits->interrupted, waiter, next, next_interrupted)
	{
		if (waiter->parking)
			continue; /* ipcfs_waits_park wakes this thread again */
		if (goes_on(waiter, questions)) {
			waits->interrupts_ignored += waiter->interrupt_ignored;
			continue;
		}
		LL_DELETE2(waits->interrupted, waiter, next_interrupted);
		waiter->interrupted = false;
		if (waiter->wq && ipcfs_waiter_stop(waits, waiter, -EINTR))
			LL_PREPEND2(done, waiter, next_interrupted);
	}
	return done;
}

void ipcfs_interrupts_handle(struct ipcfs_waits *waits, bool ignored_too)
{
	struct question questions[ASKED_MAX];
	struct ipcfs_waiter *waiter, *next, *done;
	unsigned count;

	waits->round++;
	do {
		pthread_mutex_lock(&waits->lock);
		count = choose(waits, ignored_too, questions);
		pthread_mutex_unlock(&waits->lock);
		for (unsigned i = 0; i < count; i++)
			questions[i].answer = ipcfs_caller_interrupt(questions[i].tid,
								     questions[i].again);
		pthread_mutex_lock(&waits->lock);
		done = end_interrupted(waits, questions);
		pthread_mutex_unlock(&waits->lock);
		LL_FOREACH_SAFE2(done, waiter, next, next_interrupted)
		{
			waiter->next_interrupted = NULL;
			ipcfs_waiter_finish(waits, waiter, waiter->end_reason);
		}
	} while (count == ASKED_MAX);
}
