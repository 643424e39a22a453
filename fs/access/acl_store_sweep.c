/* SPDX-License-Identifier: MIT */
/*
 * The thread that notices removed objects, and the end of another daemon that uses the directory.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <syslog.h>

#include "backends/contract/descriptor.h"
#include "fs/access/acl_store.h"
#include "fs/access/acl_store_inside.h"
#include "fs/base/clock.h"
#include "fs/base/log.h"

/* The kernel reuses an id at the earliest after seconds of making and removing objects. */
/* How long a daemon that ends may take. */
#define END_WAITS 25
#define END_WAIT_NS (10 * 1000 * 1000)

#define SWEEP_MS 500
#define KICK_MS 20

/*
 * Writes a list whose object was changed, with the new ctime, or that is in memory only. Call with
 * store->writers held.
 */
static void note_change(struct ipcfs_acl_store *store, struct ipcfs_acl_item *item,
			const struct timespec *ctime)
{
	struct ipcfs_acl_record record = item->record;

	record.ctime = *ctime;
	if (store->state == IPCFS_ACL_OWNED &&
	    ipcfs_acl_dir_write(&store->dir, &record, &item->place))
		return; /* the next sweep tries again */
	pthread_mutex_lock(&store->lock);
	item->record.ctime = *ctime;
	pthread_mutex_unlock(&store->lock);
}

/* Checks the object of this list: drops the list if it is gone, and writes what has changed. */
static void check_item(struct ipcfs_acl_store *store, const struct ipcfs_acl_key *key)
{
	const struct ipcfs_class *class;
	struct ipcfs_acl_record now;
	struct ipcfs_info info = { 0 };
	struct ipcfs_ref ref;
	uint64_t generation = 0;
	struct ipcfs_acl_item *item;
	int error;

	pthread_mutex_lock(&store->lock);
	item = ipcfs_acl_store_find(store, key);
	if (item && item->record.acl.count) {
		class = item->record.class;
		ref = item->record.ref;
		generation = item->generation;
	}
	pthread_mutex_unlock(&store->lock);
	if (!generation)
		return;

	error = class->stat_brief(store->space, &ref, &info);
	if (error && error != -ENOENT)
		return;
	ipcfs_acl_record_of(&now, class, &info);

	pthread_mutex_lock(&store->writers);
	item = ipcfs_acl_store_find(store, key);
	if (item && item->generation == generation) {
		if (error || !ipcfs_acl_record_is_of(&item->record, &info.ref, &info.perm))
			(void)ipcfs_acl_store_drop(store, key);
		else if (!ipcfs_acl_same_time(&item->record.ctime, &now.ctime) ||
			 (store->state == IPCFS_ACL_OWNED && !item->place.slot))
			note_change(store, item, &now.ctime);
	}
	pthread_mutex_unlock(&store->writers);
}

static void sweep(struct ipcfs_acl_store *store)
{
	const struct ipcfs_space *before;
	struct ipcfs_acl_key *keys;
	struct ipcfs_acl_item *item, *next;
	size_t count = 0;

	pthread_mutex_lock(&store->lock);
	keys = store->count ? calloc(store->count, sizeof(*keys)) : NULL;
	if (keys) /* else the next sweep tries again */
		HASH_ITER (hh, store->items, item, next)
			keys[count++] = item->key;
	pthread_mutex_unlock(&store->lock);
	/* In a namespace that can't be entered no object is seen: the next sweep tries again. */
	if (count && !ipcfs_space_enter(store->space, &before)) {
		for (size_t i = 0; i < count; i++)
			check_item(store, &keys[i]);
		ipcfs_space_leave(before);
	}
	free(keys);
}

/* Tells whether another daemon uses the directory, after trying to take it over. */
static bool is_foreign(struct ipcfs_acl_store *store)
{
	bool foreign;

	pthread_mutex_lock(&store->writers);
	if (store->state == IPCFS_ACL_FOREIGN && !ipcfs_acl_store_take_over(store) &&
	    store->state == IPCFS_ACL_OWNED && store->told)
		ipcfs_log(LOG_NOTICE,
			  "the other ipcfs has ended: its access control lists are used here now");
	foreign = store->state == IPCFS_ACL_FOREIGN;
	pthread_mutex_unlock(&store->writers);
	return foreign;
}

/* Waits a moment for a daemon that is ending. Returns whether the lock was taken. */
static bool wait_for_end(const struct ipcfs_acl_store *store, int fd)
{
	for (int waits = 0; waits < END_WAITS && !store->stopping; waits++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return true;
		(void)nanosleep(&(struct timespec){ .tv_nsec = END_WAIT_NS }, NULL);
	}
	return false;
}

/*
 * Waits until the other daemon ends or the thread has to end, and says so if that takes longer than
 * a moment. SIGUSR1 interrupts it. False: it can't wait.
 */
static bool wait_for_other(struct ipcfs_acl_store *store)
{
	sigset_t kick;
	int fd = -1;

	pthread_mutex_lock(&store->writers);
	if (store->state == IPCFS_ACL_FOREIGN)
		fd = ipcfs_acl_dir_open_lock(&store->dir);
	pthread_mutex_unlock(&store->writers);
	if (fd < 0)
		return false;
	(void)sigemptyset(&kick);
	(void)sigaddset(&kick, SIGUSR1);
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	if (!wait_for_end(store, fd) && !store->stopping) {
		if (!store->told)
			ipcfs_log(LOG_NOTICE, "another ipcfs keeps the access control lists of "
					      "this IPC namespace: none can be set here");
		store->told = true;
		while (!store->stopping && flock(fd, LOCK_EX) && errno == EINTR)
			;
	}
	(void)pthread_sigmask(SIG_BLOCK, &kick, NULL);
	ipcfs_descriptor_close(&fd);
	return true;
}

/*
 * Waits for the time of the next sweep, and before that for a first list, unless `foreign`. False:
 * the thread has to end.
 */
static bool wait_for_turn(struct ipcfs_acl_store *store, bool foreign)
{
	struct timespec turn;

	pthread_mutex_lock(&store->lock);
	while (!store->stopping && !store->count && !foreign)
		pthread_cond_wait(&store->wake, &store->lock);
	turn = ipcfs_clock_after(CLOCK_MONOTONIC, SWEEP_MS);
	while (!store->stopping &&
	       pthread_cond_timedwait(&store->wake, &store->lock, &turn) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&store->lock);
	return !store->stopping;
}

static void *sweeper(void *arg)
{
	struct ipcfs_acl_store *store = arg;

	bool waited = false;

	ipcfs_space_start_home();
	while (!store->stopping) {
		bool foreign = is_foreign(store);

		/* not twice in a row: then there was no memory, or a third daemon was quicker */
		waited = foreign && !waited && wait_for_other(store);
		if (!waited && wait_for_turn(store, foreign))
			sweep(store);
	}
	return NULL;
}

int ipcfs_acl_store_start_thread(struct ipcfs_acl_store *store)
{
	sigset_t all, before;
	int error;

	if (!store->started || store->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&store->sweeper, NULL, sweeper, store);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	store->running = !error;
	return -error;
}

int ipcfs_acl_store_start(struct ipcfs_acl_store *store)
{
	int error = 0;

	pthread_mutex_lock(&store->writers);
	store->started = true;
	if (store->count || store->state == IPCFS_ACL_FOREIGN)
		error = ipcfs_acl_store_start_thread(store);
	pthread_mutex_unlock(&store->writers);
	return error;
}

/* Ends the thread. A signal just before flock(2) is lost, so it is repeated. */
static void end_thread(struct ipcfs_acl_store *store)
{
	struct timespec turn;

	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	do {
		(void)pthread_kill(store->sweeper, SIGUSR1);
		turn = ipcfs_clock_after(CLOCK_REALTIME, KICK_MS);
	} while (pthread_timedjoin_np(store->sweeper, NULL, &turn) == ETIMEDOUT);
}

bool ipcfs_acl_store_stop_thread(struct ipcfs_acl_store *store)
{
	bool running;

	pthread_mutex_lock(&store->writers);
	store->started = false;
	running = store->running;
	store->running = false;
	pthread_mutex_unlock(&store->writers);
	if (running)
		end_thread(store);
	return running;
}

void ipcfs_acl_store_stop(struct ipcfs_acl_store *store)
{
	/* Otherwise the next start would take an object that was changed since for another one. */
	if (ipcfs_acl_store_stop_thread(store))
		sweep(store);
}
