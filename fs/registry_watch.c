/* SPDX-License-Identifier: MIT */
/*
 * The thread that sees namespaces end. A namespace lives as long as a process is in it that is not ours: the descriptor by
 * which we enter would keep it, but also makes sure that no other one gets its number before we let go.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "acl_store.h"
#include "registry_inside.h"

#define ROUND_MS 200
#define PATIENCE_MAX 31 /* rounds */
#define MISSES 2	/* a process may start while we look, where we have looked */

/* A namespace whose witness has gone. */
struct doubtful {
	uint64_t inode;
	struct ipcfs_namespace *namespace; /* with a reference to its space */
	pid_t found;
	UT_hash_handle hh;
};

static int find_witness(void *arg, uint64_t inode, pid_t pid)
{
	struct doubtful **doubts = arg, *doubt;

	HASH_FIND(hh, *doubts, &inode, sizeof(inode), doubt);
	if (doubt)
		doubt->found = pid;
	return 0;
}

/*
 * Nobody has this /dev/shm any more, but views of the ended namespace. Then it is not known any more: once it is let go
 * its numbers may be another one's. Called with the lock held.
 */
static bool forget_last(struct ipcfs_registry *registry, const struct ipcfs_namespace *namespace,
			const struct ipcfs_space *space)
{
	const struct ipcfs_view *view;
	struct ipcfs_shm *shm;
	unsigned own = 0;

	HASH_FIND(hh, registry->shms, ipcfs_space_place(space), sizeof(shm->place), shm);
	DL_FOREACH (namespace->views, view)
		own += view->shm == space;
	if (!shm || shm->space != space || shm->views != own)
		return false;
	HASH_DEL(registry->shms, shm);
	free(shm);
	return true;
}

/* Let go of the memory that only the ended namespace has had. */
static void end_shms(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_space *space;
	struct ipcfs_view *view;

	do {
		space = NULL;
		pthread_mutex_lock(&registry->lock);
		DL_FOREACH (namespace->views, view) {
			if (ipcfs_space_has_ended(view->shm) || !ipcfs_space_has_shm(view->shm) ||
			    !forget_last(registry, namespace, view->shm))
				continue;
			space = view->shm;
			ipcfs_space_hold(space);
			break;
		}
		pthread_mutex_unlock(&registry->lock);
		if (space) {
			ipcfs_space_end(space);
			registry->hooks.ended(registry->hooks.arg, space, 0);
		}
		ipcfs_space_put(space);
	} while (space);
}

static void end(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_view *view;
	bool removed;

	pthread_mutex_lock(&registry->lock);
	removed = ipcfs_registry_remove(registry, namespace);
	namespace->current = NULL;
	DL_FOREACH (namespace->views, view)
		ipcfs_registry_stale(registry, view);
	pthread_mutex_unlock(&registry->lock);
	ipcfs_acl_store_end(namespace->acls);
	ipcfs_space_end(namespace->space);
	end_shms(registry, namespace);
	registry->hooks.ended(registry->hooks.arg, namespace->space, namespace->inode);
	if (removed)
		ipcfs_space_put(namespace->space);
}

/* Called with the lock held. Nobody but the list refers to it, or its name leads there again. */
static bool is_settled(const struct ipcfs_view *view)
{
	const struct ipcfs_namespace *namespace = ipcfs_space_owner(view->ipc);

	return view->references == 1 || namespace->current == view;
}

/* One that is settled, out of the list, with the list's reference; NULL: there is none. */
static struct ipcfs_view *take_settled(struct ipcfs_registry *registry)
{
	struct ipcfs_view *view;

	pthread_mutex_lock(&registry->lock);
	view = registry->stale;
	while (view && !is_settled(view))
		view = view->next_stale;
	if (view) {
		LL_DELETE2(registry->stale, view, next_stale);
		view->stale = false;
	}
	pthread_mutex_unlock(&registry->lock);
	return view;
}

/* The next one after `last` that is to be tried now; NULL: there are no more. Only this thread takes any from the list. */
static struct ipcfs_view *next_stale(struct ipcfs_registry *registry, struct ipcfs_view *last)
{
	struct ipcfs_view *view;

	pthread_mutex_lock(&registry->lock);
	view = last ? last->next_stale : registry->stale;
	while (view && view->turns) {
		view->turns--;
		view = view->next_stale;
	}
	if (view) {
		if (view->patience < PATIENCE_MAX)
			view->patience = 2 * view->patience + 1;
		view->turns = view->patience;
	}
	pthread_mutex_unlock(&registry->lock);
	return view;
}

/* What the kernel still knows of views to which no name leads keeps memory, and descriptors of ours. */
static void forget_stale(struct ipcfs_registry *registry)
{
	struct ipcfs_view *view;

	while ((view = take_settled(registry)))
		ipcfs_view_put(view);
	while ((view = next_stale(registry, view)))
		registry->hooks.forget(registry->hooks.arg, view);
}

/* Called with the lock held. Those whose witness is no longer there. */
static struct doubtful *collect(const struct ipcfs_registry *registry)
{
	struct ipcfs_namespace *namespace, *next;
	struct doubtful *doubts = NULL, *doubt;

	HASH_ITER (hh, registry->namespaces, namespace, next) {
		if (namespace->space == registry->home->ipc ||
		    ipcfs_namespace_of(namespace->witness) == namespace->inode)
			continue;
		doubt = calloc(1, sizeof(*doubt));
		if (!doubt)
			break; /* the next round will see to it */
		doubt->inode = namespace->inode;
		doubt->namespace = namespace;
		HASH_ADD(hh, doubts, inode, sizeof(doubt->inode), doubt);
		if (!doubt->hh.tbl) {
			free(doubt);
			break;
		}
		ipcfs_space_hold(namespace->space);
	}
	return doubts;
}

static void make_round(struct ipcfs_registry *registry)
{
	struct doubtful *doubts, *doubt, *next;
	bool seen;

	pthread_mutex_lock(&registry->lock);
	doubts = collect(registry);
	pthread_mutex_unlock(&registry->lock);
	if (!doubts)
		return;
	seen = !ipcfs_namespace_each(find_witness, &doubts);
	HASH_ITER (hh, doubts, doubt, next) {
		struct ipcfs_space *space = doubt->namespace->space;

		if (doubt->found) {
			doubt->namespace->witness = doubt->found;
			doubt->namespace->missed = 0;
		} else if (seen && ++doubt->namespace->missed == MISSES)
			end(registry, doubt->namespace);
		HASH_DEL(doubts, doubt);
		free(doubt);
		ipcfs_space_put(space);
	}
}

/* Called with the lock held; false: it is the end. Our own one alone needs no watching. */
static bool wait_for_turn(struct ipcfs_registry *registry)
{
	struct timespec turn;

	while (!registry->stopping && HASH_COUNT(registry->namespaces) <= 1 && !registry->stale)
		pthread_cond_wait(&registry->wake, &registry->lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &turn);
	turn.tv_nsec += ROUND_MS * 1000000L;
	turn.tv_sec += turn.tv_nsec / 1000000000;
	turn.tv_nsec %= 1000000000;
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
			make_round(registry);
			forget_stale(registry);
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
