/* SPDX-License-Identifier: MIT */
/*
 * The watcher: a thread that notices when the last process has left a namespace. The daemon's
 * descriptor of the namespace keeps it in existence, so that no other namespace gets its inode
 * number before the daemon has dropped it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/access/acl_store.h"
#include "fs/base/clock.h"
#include "fs/namespaces/registry_inside.h"

#define ROUND_MS 200  /* between two rounds */
#define ROUNDS_MAX 31 /* between two attempts to drop a stale view */
#define MISSED_MAX 2  /* scans: one scan may miss a process that starts meanwhile */

/* A namespace of which the known process has left. */
struct doubtful {
	uint64_t inode;
	struct ipcfs_namespace *namespace; /* with a reference to its space */
	pid_t found;
	UT_hash_handle hh;
};

static int find_member(void *arg, uint64_t inode, pid_t pid)
{
	struct doubtful **doubts = arg, *doubt;

	HASH_FIND(hh, *doubts, &inode, sizeof(inode), doubt);
	if (doubt)
		doubt->found = pid;
	return 0;
}

/*
 * Removes the entry of this /dev/shm if only views of the ended namespace have it: once it is
 * closed, another one may get its numbers. Call with registry->lock held. False: other views have
 * it.
 */
static bool remove_last_shm(struct ipcfs_registry *registry,
			    const struct ipcfs_namespace *namespace,
			    const struct ipcfs_space *space)
{
	const struct ipcfs_view *view;
	struct ipcfs_shm *shm;
	unsigned own = 0;

	HASH_FIND(hh, registry->shms, ipcfs_space_shm_id(space), sizeof(shm->shm_id), shm);
	DL_FOREACH (namespace->views, view)
		own += view->shm == space;
	if (!shm || shm->space != space || shm->views != own)
		return false;
	HASH_DEL(registry->shms, shm);
	free(shm);
	return true;
}

/* Closes each /dev/shm that only the ended namespace has. */
static void end_shms(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_space *space;
	struct ipcfs_view *view;

	do {
		space = NULL;
		pthread_mutex_lock(&registry->lock);
		DL_FOREACH (namespace->views, view) {
			if (ipcfs_space_has_ended(view->shm) || !ipcfs_space_has_shm(view->shm) ||
			    !remove_last_shm(registry, namespace, view->shm))
				continue;
			space = view->shm;
			ipcfs_space_ref(space);
			break;
		}
		pthread_mutex_unlock(&registry->lock);
		if (space) {
			ipcfs_space_end(space);
			registry->hooks.ended(registry->hooks.arg, space, 0);
		}
		ipcfs_space_unref(space);
	} while (space);
}

/* Ends a namespace that has no process any more. */
static void end_namespace(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_view *view;
	bool removed;

	pthread_mutex_lock(&registry->lock);
	removed = ipcfs_registry_remove(registry, namespace);
	namespace->current = NULL;
	DL_FOREACH (namespace->views, view)
		ipcfs_registry_mark_stale(registry, view);
	pthread_mutex_unlock(&registry->lock);
	ipcfs_acl_store_end(namespace->acls);
	ipcfs_space_end(namespace->space);
	end_shms(registry, namespace);
	registry->hooks.ended(registry->hooks.arg, namespace->space, namespace->inode);
	if (removed)
		ipcfs_space_unref(namespace->space);
}

/*
 * Tells whether only the list refers to a stale view, or a name leads to it again. Call with
 * registry->lock held.
 */
static bool may_leave_stale(const struct ipcfs_view *view)
{
	const struct ipcfs_namespace *namespace = ipcfs_space_owner(view->ipc);

	return view->references == 1 || namespace->current == view;
}

/*
 * Takes such a view out of the list of stale ones, with the list's reference. NULL: there is none.
 */
static struct ipcfs_view *take_not_stale(struct ipcfs_registry *registry)
{
	struct ipcfs_view *view;

	pthread_mutex_lock(&registry->lock);
	view = registry->stale;
	while (view && !may_leave_stale(view))
		view = view->next_stale;
	if (view) {
		LL_DELETE2(registry->stale, view, next_stale);
		view->stale = false;
	}
	pthread_mutex_unlock(&registry->lock);
	return view;
}

/*
 * Returns the next stale view after `last` whose turn it is. NULL: there is none. Only this thread
 * takes views from the list.
 */
static struct ipcfs_view *next_stale(struct ipcfs_registry *registry, struct ipcfs_view *last)
{
	struct ipcfs_view *view;

	pthread_mutex_lock(&registry->lock);
	view = last ? last->next_stale : registry->stale;
	while (view && view->rounds_left) {
		view->rounds_left--;
		view = view->next_stale;
	}
	if (view) {
		if (view->wait_rounds < ROUNDS_MAX)
			view->wait_rounds = 2 * view->wait_rounds + 1;
		view->rounds_left = view->wait_rounds;
	}
	pthread_mutex_unlock(&registry->lock);
	return view;
}

/*
 * Has the kernel drop its caches of stale views, which keep memory and descriptors of the daemon in
 * use.
 */
static void invalidate_stale(struct ipcfs_registry *registry)
{
	struct ipcfs_view *view;

	while ((view = take_not_stale(registry)))
		ipcfs_view_unref(view);
	while ((view = next_stale(registry, view)))
		registry->hooks.invalidate(registry->hooks.arg, view);
}

/* Returns the namespaces of which the known process has left. Call with registry->lock held. */
static struct doubtful *collect_doubtful(const struct ipcfs_registry *registry)
{
	struct ipcfs_namespace *namespace, *next;
	struct doubtful *doubts = NULL, *doubt;

	HASH_ITER (hh, registry->namespaces, namespace, next) {
		if (namespace->space == registry->home->ipc ||
		    ipcfs_namespace_of(namespace->member_pid) == namespace->inode)
			continue;
		doubt = calloc(1, sizeof(*doubt));
		if (!doubt)
			break; /* the next round finds it */
		doubt->inode = namespace->inode;
		doubt->namespace = namespace;
		HASH_ADD(hh, doubts, inode, sizeof(doubt->inode), doubt);
		if (!doubt->hh.tbl) {
			free(doubt);
			break;
		}
		ipcfs_space_ref(namespace->space);
	}
	return doubts;
}

/* Finds another process for each doubtful namespace, or ends it. */
static void check_members(struct ipcfs_registry *registry)
{
	struct doubtful *doubts, *doubt, *next;
	bool seen;

	pthread_mutex_lock(&registry->lock);
	doubts = collect_doubtful(registry);
	pthread_mutex_unlock(&registry->lock);
	if (!doubts)
		return;
	seen = !ipcfs_namespace_each(find_member, &doubts);
	HASH_ITER (hh, doubts, doubt, next) {
		struct ipcfs_space *space = doubt->namespace->space;

		if (doubt->found) {
			doubt->namespace->member_pid = doubt->found;
			doubt->namespace->missed = 0;
		} else if (seen && ++doubt->namespace->missed == MISSED_MAX)
			end_namespace(registry, doubt->namespace);
		HASH_DEL(doubts, doubt);
		free(doubt);
		ipcfs_space_unref(space);
	}
}

/*
 * Waits for the time of the next round, and before that for a namespace beside the home or a stale
 * view. Call with registry->lock held. False: the thread has to end.
 */
static bool wait_for_turn(struct ipcfs_registry *registry)
{
	struct timespec turn;

	while (!registry->stopping && HASH_COUNT(registry->namespaces) <= 1 && !registry->stale)
		pthread_cond_wait(&registry->wake, &registry->lock);
	turn = ipcfs_clock_after(CLOCK_MONOTONIC, ROUND_MS);
	while (!registry->stopping &&
	       pthread_cond_timedwait(&registry->wake, &registry->lock, &turn) != ETIMEDOUT)
		;
	return !registry->stopping;
}

static void *watch(void *arg)
{
	struct ipcfs_registry *registry = arg;
	bool more = true;

	while (more) {
		pthread_mutex_lock(&registry->lock);
		more = wait_for_turn(registry);
		pthread_mutex_unlock(&registry->lock);
		if (more) {
			check_members(registry);
			invalidate_stale(registry);
		}
	}
	return NULL;
}

int ipcfs_registry_start(struct ipcfs_registry *registry)
{
	int err = ipcfs_acl_store_start(ipcfs_registry_acls(registry->home->ipc));
	sigset_t every, before;

	if (err || !registry->all)
		return err;
	sigfillset(&every);
	pthread_sigmask(SIG_BLOCK, &every, &before);
	err = -pthread_create(&registry->watcher, NULL, watch, registry);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	registry->running = !err;
	return err;
}

void ipcfs_registry_stop(struct ipcfs_registry *registry)
{
	if (!registry->running)
		return;
	pthread_mutex_lock(&registry->lock);
	registry->stopping = true;
	pthread_cond_signal(&registry->wake);
	pthread_mutex_unlock(&registry->lock);
	(void)pthread_join(registry->watcher, NULL);
	registry->running = false;
}
