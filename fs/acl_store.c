/* SPDX-License-Identifier: MIT */
#include "acl_store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "acl_dir.h"
#include "hash.h"
#include "log.h"

#define SWEEP_MS 500 /* an id comes again after seconds of making and removing at the earliest */
#define LOCK_WAITS 20
#define LOCK_WAIT_NS (10 * 1000 * 1000)
#define LISTS_MAX 65536
#define ENTRIES_MAX 1048576 /* in all lists */

/* No padding: it is hashed. */
struct item_key {
	uint64_t class, serial, key;
};

struct item {
	struct item_key key;
	struct ipcfs_acl_record record; /* without a list while it is being added */
	uint64_t generation;		/* changes with each set */
	UT_hash_handle hh;
};

enum state {
	STATE_MEMORY, /* there is no directory */
	STATE_OWNED,
	STATE_FOREIGN, /* another daemon has it; there are no lists */
};

/*
 * What changes items, or the state, holds `writers`, and `lock` as well while it does; looking takes either.
 * `writers` is taken first, and held across writing a file; neither is held across asking for an
 * object, but for reading the directory, when there are no lists yet.
 */
struct ipcfs_acl_store {
	const struct ipcfs_space *space;
	pthread_mutex_t writers;
	bool warned; /* that lists are kept in memory only: who never sets one need not know */
	struct ipcfs_acl_dir dir;
	enum state state;
	uint64_t generation;
	size_t entries; /* in all lists */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* the first list is there, or it is the end */
	struct item *items;
	_Atomic size_t count; /* of items; changes under lock */
	bool started;	      /* there may be a thread, from when there is something for it to do */
	bool running, stopping;
	pthread_t sweeper;
};

static struct item_key key_of(const struct ipcfs_backend *class, const struct ipcfs_ref *ref)
{
	return (struct item_key){ (uintptr_t) class, ref->serial, ref->key };
}

static struct item *find_item(const struct ipcfs_acl_store *store, const struct item_key *key)
{
	struct item *item;

	HASH_FIND(hh, store->items, key, sizeof(*key), item);
	return item;
}

/* Called by a writer. An item that has no list yet; NULL: no memory. */
static struct item *add_item(struct ipcfs_acl_store *store, const struct item_key *key)
{
	struct item *item = calloc(1, sizeof(*item));
	bool added;

	if (!item)
		return NULL;
	item->key = *key;
	pthread_mutex_lock(&store->lock);
	HASH_ADD(hh, store->items, key, sizeof(item->key), item);
	added = item->hh.tbl;
	if (added && store->count++ == 0)
		pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	if (added)
		return item;
	free(item);
	return NULL;
}

/* Called by a writer. */
static void drop_item(struct ipcfs_acl_store *store, struct item *item)
{
	pthread_mutex_lock(&store->lock);
	HASH_DEL(store->items, item);
	store->count--;
	pthread_mutex_unlock(&store->lock);
	store->entries -= item->record.acl.count;
	ipcfs_acl_free(&item->record.acl);
	free(item);
}

/* Called by a writer. The record's list becomes the item's. */
static void fill_item(struct ipcfs_acl_store *store, struct item *item,
		      struct ipcfs_acl_record *record)
{
	struct ipcfs_acl old = item->record.acl;

	pthread_mutex_lock(&store->lock);
	item->record = *record;
	item->generation = ++store->generation;
	pthread_mutex_unlock(&store->lock);
	store->entries += record->acl.count;
	store->entries -= old.count;
	record->acl = (struct ipcfs_acl){ 0 };
	ipcfs_acl_free(&old);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* A record of our directory: 0, or 1 where it can't be proved to be of an object that is there. */
static int take_loaded(void *arg, struct ipcfs_acl_record *record)
{
	struct ipcfs_acl_store *store = arg;
	struct item_key key = key_of(record->class, &record->ref);
	struct ipcfs_info info = { 0 };
	struct ipcfs_acl_record now;
	struct item *item;

	if (record->class->glance(store->space, &record->ref, &info))
		return 1;
	ipcfs_acl_record_of(&now, record->class, &info);
	if (!ipcfs_acl_record_is_of(record, &info.ref, &info.perm) ||
	    !same_time(&record->ctime, &now.ctime) || store->count >= LISTS_MAX ||
	    store->entries + record->acl.count > ENTRIES_MAX)
		return 1;
	item = add_item(store, &key);
	if (!item)
		return -ENOMEM;
	fill_item(store, item, record);
	return 0;
}

static void drop_all(struct ipcfs_acl_store *store)
{
	struct item *item, *next;

	HASH_ITER (hh, store->items, item, next)
		drop_item(store, item);
}

static int load_directory(struct ipcfs_acl_store *store)
{
	const struct ipcfs_space *before;
	int error = ipcfs_space_enter(store->space, &before);

	if (error)
		return error;
	error = ipcfs_acl_dir_load(&store->dir, take_loaded, store);
	ipcfs_space_leave(before);
	return error;
}

/* Called by a writer, where there is a directory. -ENOMEM; else the state is set. */
static int own_directory(struct ipcfs_acl_store *store)
{
	int error = ipcfs_acl_dir_lock(&store->dir);

	store->state = STATE_FOREIGN;
	if (error == -EBUSY)
		return 0;
	if (!error)
		error = load_directory(store);
	if (!error) {
		store->state = STATE_OWNED;
		return 0;
	}
	drop_all(store);
	ipcfs_acl_dir_unlock(&store->dir, false);
	if (error == -ENOMEM)
		return error;
	ipcfs_acl_dir_close(&store->dir, false);
	store->state = STATE_MEMORY;
	return 0;
}

static int open_store(struct ipcfs_acl_store *store, const char *directory)
{
	int error = 0;

	if (!ipcfs_acl_dir_open(&store->dir, directory))
		error = own_directory(store);
	/* one that was just told to end takes a moment */
	for (int waits = 0; !error && store->state == STATE_FOREIGN && waits < LOCK_WAITS;
	     waits++) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_WAIT_NS }, NULL);
		error = own_directory(store);
	}
	if (store->state == STATE_FOREIGN)
		ipcfs_log(LOG_NOTICE, "another ipcfs keeps the access control lists of this IPC "
				      "namespace: none can be set here");
	return error;
}

int ipcfs_acl_store_create(const struct ipcfs_space *space, const char *directory,
			   struct ipcfs_acl_store **store)
{
	struct ipcfs_acl_store *made = calloc(1, sizeof(*made));
	pthread_condattr_t attributes;
	int error;

	if (!made)
		return -ENOMEM;
	made->space = space;
	ipcfs_space_identity(space, &made->dir.space);
	pthread_mutex_init(&made->writers, NULL);
	pthread_mutex_init(&made->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&made->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	error = open_store(made, directory);
	if (error)
		ipcfs_acl_store_destroy(made);
	else
		*store = made;
	return error;
}

void ipcfs_acl_store_destroy(struct ipcfs_acl_store *store)
{
	bool empty;

	if (!store)
		return;
	empty = store->count == 0;
	drop_all(store);
	ipcfs_acl_dir_close(&store->dir, empty);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->writers);
	free(store);
}

/* What was changed by those who know of no list shows. */
static void follow_mode(struct ipcfs_acl *acl, mode_t mode)
{
	struct ipcfs_acl_entry *group = ipcfs_acl_entry(acl, IPCFS_ACL_GROUP_OBJ);
	mode_t bits = mode >> 3 & 06;

	if ((ipcfs_acl_plain_mode(acl) >> 3 & 06) != bits)
		group->perm = (uint16_t)bits;
	ipcfs_acl_entry(acl, IPCFS_ACL_USER_OBJ)->perm = (uint16_t)(mode >> 6 & 06);
	ipcfs_acl_entry(acl, IPCFS_ACL_OTHER)->perm = (uint16_t)(mode & 06);
}

int ipcfs_acl_store_get(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			struct ipcfs_acl *acl)
{
	const struct item_key key = key_of(class, ref);
	const struct item *item;
	int error = 0;

	*acl = (struct ipcfs_acl){ 0 };
	if (!atomic_load_explicit(&store->count, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&store->lock);
	item = find_item(store, &key);
	if (item && item->record.acl.count && ipcfs_acl_record_is_of(&item->record, ref, perm))
		error = ipcfs_acl_copy(acl, &item->record.acl);
	pthread_mutex_unlock(&store->lock);
	if (acl->count)
		follow_mode(acl, perm->mode);
	return error;
}

int ipcfs_acl_store_claim(struct ipcfs_acl_store *store)
{
	int error = 0;

	pthread_mutex_lock(&store->writers);
	if (store->state == STATE_FOREIGN)
		error = own_directory(store);
	if (!error && store->state == STATE_FOREIGN)
		error = -EBUSY;
	pthread_mutex_unlock(&store->writers);
	return error;
}

/* Called by a writer. -EIO: the list would be there again after a restart, so it is there still. */
static int forget(struct ipcfs_acl_store *store, const struct item_key *key)
{
	struct item *item = find_item(store, key);
	int error = 0;

	if (!item)
		return 0;
	if (store->state == STATE_OWNED)
		error = ipcfs_acl_dir_remove(&store->dir, item->record.class, &item->record.ref);
	if (!error)
		drop_item(store, item);
	return error;
}

/* Called by a writer. On error all is as it was. */
static int remember(struct ipcfs_acl_store *store, const struct item_key *key,
		    struct ipcfs_acl_record *record)
{
	struct item *item = find_item(store, key);
	size_t before = item ? item->record.acl.count : 0;
	int error = 0;

	if (store->entries - before + record->acl.count > ENTRIES_MAX)
		return -ENOSPC;
	if (!item) {
		if (store->count >= LISTS_MAX)
			return -ENOSPC;
		item = add_item(store, key);
		if (!item)
			return -ENOMEM;
	}
	if (store->state == STATE_OWNED)
		error = ipcfs_acl_dir_write(&store->dir, record);
	if (!error)
		fill_item(store, item, record);
	else if (!before)
		drop_item(store, item);
	return error;
}

/* Called by a writer. */
static void warn_once(struct ipcfs_acl_store *store)
{
	if (store->state == STATE_MEMORY && !store->warned)
		ipcfs_log(LOG_NOTICE, "access control lists are kept in memory only");
	store->warned = true;
}

void ipcfs_acl_store_removed(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			     const struct ipcfs_ref *ref)
{
	const struct item_key key = key_of(class, ref);

	if (!atomic_load_explicit(&store->count, memory_order_acquire))
		return;
	pthread_mutex_lock(&store->writers);
	(void)forget(store, &key); /* if it fails, the next sweep or start finds it void */
	pthread_mutex_unlock(&store->writers);
}

/* Called by a writer. The object is still there, and its ctime is another. */
static void note_change(struct ipcfs_acl_store *store, struct item *item,
			const struct timespec *ctime)
{
	struct ipcfs_acl_record record = item->record;

	record.ctime = *ctime;
	if (store->state == STATE_OWNED && ipcfs_acl_dir_write(&store->dir, &record))
		return; /* the next sweep tries again */
	pthread_mutex_lock(&store->lock);
	item->record.ctime = *ctime;
	pthread_mutex_unlock(&store->lock);
}

/* See how the object of this list is; with `ended` it is known to be gone. */
static void look_after(struct ipcfs_acl_store *store, const struct item_key *key, bool ended)
{
	const struct ipcfs_backend *class;
	struct ipcfs_acl_record now;
	struct ipcfs_info info = { 0 };
	struct ipcfs_ref ref;
	uint64_t generation = 0;
	struct item *item;
	int error;

	pthread_mutex_lock(&store->lock);
	item = find_item(store, key);
	if (item && item->record.acl.count) {
		class = item->record.class;
		ref = item->record.ref;
		generation = item->generation;
	}
	pthread_mutex_unlock(&store->lock);
	if (!generation)
		return;

	error = ended ? -ENOENT : class->glance(store->space, &ref, &info);
	if (error && error != -ENOENT)
		return;
	ipcfs_acl_record_of(&now, class, &info);

	pthread_mutex_lock(&store->writers);
	item = find_item(store, key);
	if (item && item->generation == generation) {
		if (error || !ipcfs_acl_record_is_of(&item->record, &info.ref, &info.perm))
			(void)forget(store, key);
		else if (!same_time(&item->record.ctime, &now.ctime))
			note_change(store, item, &now.ctime);
	}
	pthread_mutex_unlock(&store->writers);
}

static void sweep(struct ipcfs_acl_store *store)
{
	const struct ipcfs_space *before;
	struct item_key *keys;
	struct item *item, *next;
	size_t count = 0;
	bool ended;

	pthread_mutex_lock(&store->lock);
	keys = store->count ? calloc(store->count, sizeof(*keys)) : NULL;
	if (keys) /* else the next one may have the memory */
		HASH_ITER (hh, store->items, item, next)
			keys[count++] = item->key;
	pthread_mutex_unlock(&store->lock);
	if (!count) {
		free(keys);
		return;
	}
	ended = ipcfs_space_enter(store->space, &before) == -EIDRM;
	for (size_t i = 0; i < count; i++)
		look_after(store, &keys[i], ended);
	if (!ended)
		ipcfs_space_leave(before);
	free(keys);
}

/* Is it still another daemon that keeps the lists? When that one is gone, we do. */
static bool is_foreign(struct ipcfs_acl_store *store)
{
	bool foreign;

	pthread_mutex_lock(&store->writers);
	if (store->state == STATE_FOREIGN && !own_directory(store) && store->state == STATE_OWNED)
		ipcfs_log(LOG_NOTICE, "the other ipcfs is gone: its access control lists count");
	foreign = store->state == STATE_FOREIGN;
	pthread_mutex_unlock(&store->writers);
	return foreign;
}

/* Called with the lock held; false: it is the end. `work`: there is some without lists, too. */
static bool wait_for_turn(struct ipcfs_acl_store *store, bool work)
{
	struct timespec turn;

	while (!store->stopping && !store->count && !work)
		pthread_cond_wait(&store->wake, &store->lock);
	(void)clock_gettime(CLOCK_MONOTONIC, &turn);
	turn.tv_nsec += SWEEP_MS * 1000000L;
	if (turn.tv_nsec >= 1000000000L) {
		turn.tv_sec++;
		turn.tv_nsec -= 1000000000L;
	}
	while (!store->stopping &&
	       pthread_cond_timedwait(&store->wake, &store->lock, &turn) != ETIMEDOUT)
		;
	return !store->stopping;
}

static void *sweeper(void *arg)
{
	struct ipcfs_acl_store *store = arg;
	bool more = true;

	ipcfs_space_settle();
	while (more) {
		bool foreign = is_foreign(store);

		pthread_mutex_lock(&store->lock);
		more = wait_for_turn(store, foreign);
		pthread_mutex_unlock(&store->lock);
		if (more)
			sweep(store);
	}
	return NULL;
}

/* Called by a writer. A thread, once there is something for it to do. */
static int start_sweeper(struct ipcfs_acl_store *store)
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

int ipcfs_acl_store_set(struct ipcfs_acl_store *store, const struct ipcfs_backend *class,
			const struct ipcfs_info *info, const struct ipcfs_acl *acl)
{
	const struct item_key key = key_of(class, &info->ref);
	struct ipcfs_acl_record record;
	int error;

	if (acl->count > IPCFS_ACL_STORE_ENTRIES)
		return -ENOSPC;
	ipcfs_acl_record_of(&record, class, info);
	error = ipcfs_acl_copy(&record.acl, acl);
	if (error)
		return error;
	pthread_mutex_lock(&store->writers);
	if (store->state == STATE_FOREIGN)
		error = -EBUSY;
	else if (ipcfs_acl_is_extended(acl))
		error = start_sweeper(store);
	else
		error = forget(store, &key);
	if (!error && ipcfs_acl_is_extended(acl))
		error = remember(store, &key, &record);
	if (!error)
		warn_once(store);
	pthread_mutex_unlock(&store->writers);
	ipcfs_acl_free(&record.acl);
	return error;
}

int ipcfs_acl_store_start(struct ipcfs_acl_store *store)
{
	int error = 0;

	pthread_mutex_lock(&store->writers);
	store->started = true;
	if (store->count || store->state == STATE_FOREIGN)
		error = start_sweeper(store);
	pthread_mutex_unlock(&store->writers);
	return error;
}

/* False: there was none. */
static bool stop_sweeper(struct ipcfs_acl_store *store)
{
	bool running;

	pthread_mutex_lock(&store->writers);
	store->started = false;
	running = store->running;
	store->running = false;
	pthread_mutex_unlock(&store->writers);
	if (!running)
		return false;
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	(void)pthread_join(store->sweeper, NULL);
	return true;
}

void ipcfs_acl_store_stop(struct ipcfs_acl_store *store)
{
	/* what changed since the last turn must not look like changes while nobody was there */
	if (stop_sweeper(store))
		sweep(store);
}

void ipcfs_acl_store_end(struct ipcfs_acl_store *store)
{
	struct item *item, *next;

	(void)stop_sweeper(store);
	pthread_mutex_lock(&store->writers);
	HASH_ITER (hh, store->items, item, next)
		if (store->state == STATE_OWNED)
			(void)ipcfs_acl_dir_remove(&store->dir, item->record.class,
						   &item->record.ref);
	drop_all(store);
	ipcfs_acl_dir_close(&store->dir, true);
	store->state = STATE_MEMORY;
	pthread_mutex_unlock(&store->writers);
}
