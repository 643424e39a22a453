/* SPDX-License-Identifier: MIT */
#include "fs/access/acl_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/access/acl_narrow.h"
#include "fs/access/acl_store_inside.h"
#include "fs/base/clock.h"
#include "fs/base/log.h"

#define LOCK_WAITS 5
#define LOCK_WAIT_NS (2 * 1000 * 1000)
#define LISTS_MAX 65536
#define ENTRIES_MAX 1048576 /* in all lists */

static struct ipcfs_acl_key key_of(const struct ipcfs_class *class, const struct ipcfs_ref *ref)
{
	return (struct ipcfs_acl_key){ (uintptr_t) class, ref->serial, ref->key };
}

struct ipcfs_acl_item *ipcfs_acl_store_find(const struct ipcfs_acl_store *store,
					    const struct ipcfs_acl_key *key)
{
	struct ipcfs_acl_item *item;

	HASH_FIND(hh, store->items, key, sizeof(*key), item);
	return item;
}

/* Adds an item without a list. Call with store->writers held. NULL: no memory. */
static struct ipcfs_acl_item *add_item(struct ipcfs_acl_store *store,
				       const struct ipcfs_acl_key *key)
{
	struct ipcfs_acl_item *item = calloc(1, sizeof(*item));
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

/* Call with store->writers held. */
static void drop_item(struct ipcfs_acl_store *store, struct ipcfs_acl_item *item)
{
	pthread_mutex_lock(&store->lock);
	HASH_DEL(store->items, item);
	store->count--;
	pthread_mutex_unlock(&store->lock);
	store->entries -= item->record.acl.count;
	if (item->record.acl.count)
		ipcfs_acl_share_drop(&store->shares, item->payer, item->record.acl.count);
	ipcfs_acl_free(&item->record.acl);
	free(item);
}

/*
 * Moves the record, with its list, into the item. The list is counted for `payer` already. Call
 * with store->writers held.
 */
static void fill_item(struct ipcfs_acl_store *store, struct ipcfs_acl_item *item,
		      struct ipcfs_acl_record *record, uid_t payer)
{
	struct ipcfs_acl old = item->record.acl;

	if (old.count)
		ipcfs_acl_share_drop(&store->shares, item->payer, old.count);
	item->payer = payer;

	pthread_mutex_lock(&store->lock);
	item->record = *record;
	item->generation = ++store->generation;
	pthread_mutex_unlock(&store->lock);
	store->entries += record->acl.count;
	store->entries -= old.count;
	record->acl = (struct ipcfs_acl){ 0 };
	ipcfs_acl_free(&old);
}

bool ipcfs_acl_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * Takes a record of the directory. Returns 1 if its object is gone, or may be another one now, or
 * has a newer record. -ENOMEM. Errors of stat_brief, after which nobody knows.
 */
static int take_loaded(void *arg, struct ipcfs_acl_record *record,
		       const struct ipcfs_acl_place *place)
{
	struct ipcfs_acl_store *store = arg;
	struct ipcfs_acl_key key = key_of(record->class, &record->ref);
	struct ipcfs_info info = { 0 };
	struct ipcfs_acl_record now;
	struct ipcfs_acl_item *item;
	int error = record->class->stat_brief(store->space, &record->ref, &info);

	if (error)
		return error == -ENOENT ? 1 : error;
	ipcfs_acl_record_of(&now, record->class, &info);
	if (!ipcfs_acl_record_is_of(record, &info.ref, &info.perm) ||
	    !ipcfs_acl_same_time(&record->ctime, &now.ctime) || store->count >= LISTS_MAX ||
	    store->entries + record->acl.count > ENTRIES_MAX)
		return 1;
	item = ipcfs_acl_store_find(store, &key);
	if (item && item->place.sequence >= place->sequence)
		return 1;
	if (ipcfs_acl_share_add(&store->shares, info.perm.uid, record->acl.count))
		return -ENOMEM;
	if (!item)
		item = add_item(store, &key);
	if (!item) {
		ipcfs_acl_share_drop(&store->shares, info.perm.uid, record->acl.count);
		return -ENOMEM;
	}
	fill_item(store, item, record, info.perm.uid);
	/* if this fails, the older record is found again at the next start */
	(void)ipcfs_acl_dir_remove(&store->dir, &item->place);
	item->place = *place;
	if (!place->slot) /* of an earlier version; if it can't be written, the sweeper tries again */
		(void)ipcfs_acl_dir_write(&store->dir, &item->record, &item->place);
	return 0;
}

static void drop_all(struct ipcfs_acl_store *store)
{
	struct ipcfs_acl_item *item, *next;

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

int ipcfs_acl_store_take_over(struct ipcfs_acl_store *store)
{
	int error = ipcfs_acl_dir_lock(&store->dir);

	store->state = IPCFS_ACL_FOREIGN;
	if (error == -EBUSY)
		return 0;
	if (!error)
		error = load_directory(store);
	if (!error) {
		store->state = IPCFS_ACL_OWNED;
		return 0;
	}
	drop_all(store);
	ipcfs_acl_dir_unlock(&store->dir, false);
	if (error == -ENOMEM)
		return error;
	ipcfs_acl_dir_close(&store->dir, false);
	store->state = IPCFS_ACL_MEMORY;
	return 0;
}

static int open_store(struct ipcfs_acl_store *store, const char *directory)
{
	int error = 0;

	if (!ipcfs_acl_dir_open(&store->dir, directory))
		error = ipcfs_acl_store_take_over(store);
	/* A daemon that was just told to end needs a moment. The thread waits for all others. */
	for (int waits = 0; !error && store->state == IPCFS_ACL_FOREIGN && waits < LOCK_WAITS;
	     waits++) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = LOCK_WAIT_NS }, NULL);
		error = ipcfs_acl_store_take_over(store);
	}
	return error;
}

int ipcfs_acl_store_create(const struct ipcfs_space *space, const char *directory,
			   struct ipcfs_acl_store **store)
{
	struct ipcfs_acl_store *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return -ENOMEM;
	made->space = space;
	ipcfs_space_identity(space, &made->dir.space);
	pthread_mutex_init(&made->writers, NULL);
	pthread_mutex_init(&made->lock, NULL);
	ipcfs_clock_cond_init(&made->wake);
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

/* Makes the list show a mode that was changed directly, without regard to the list. */
static void follow_mode(struct ipcfs_acl *acl, mode_t mode)
{
	struct ipcfs_acl_entry *group = ipcfs_acl_entry(acl, IPCFS_ACL_GROUP_OBJ);
	mode_t bits = mode >> 3 & 06;

	if ((ipcfs_acl_plain_mode(acl) >> 3 & 06) != bits)
		group->perm = (uint16_t)bits;
	ipcfs_acl_entry(acl, IPCFS_ACL_USER_OBJ)->perm = (uint16_t)(mode >> 6 & 06);
	ipcfs_acl_entry(acl, IPCFS_ACL_OTHER)->perm = (uint16_t)(mode & 06);
}

int ipcfs_acl_store_get(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			const struct ipcfs_ref *ref, const struct ipcfs_perm *perm,
			struct ipcfs_acl *acl)
{
	const struct ipcfs_acl_key key = key_of(class, ref);
	const struct ipcfs_acl_item *item;
	int error = 0;

	*acl = (struct ipcfs_acl){ 0 };
	if (!atomic_load_explicit(&store->count, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&store->lock);
	item = ipcfs_acl_store_find(store, &key);
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
	if (store->state == IPCFS_ACL_FOREIGN)
		error = ipcfs_acl_store_take_over(store);
	if (!error && store->state == IPCFS_ACL_FOREIGN)
		error = -EBUSY;
	pthread_mutex_unlock(&store->writers);
	return error;
}

int ipcfs_acl_store_drop(struct ipcfs_acl_store *store, const struct ipcfs_acl_key *key)
{
	struct ipcfs_acl_item *item = ipcfs_acl_store_find(store, key);
	int error = 0;

	if (!item)
		return 0;
	if (store->state == IPCFS_ACL_OWNED)
		error = ipcfs_acl_dir_remove(&store->dir, &item->place);
	if (!error)
		drop_item(store, item);
	return error;
}

/* Tells whether the store and the payer's share have room for what the list has more entries. */
static bool has_room(const struct ipcfs_acl_store *store, const struct ipcfs_acl_item *item,
		     const struct ipcfs_acl *acl, uid_t payer)
{
	size_t before = item ? item->record.acl.count : 0;

	if (acl->count <= before)
		return true;
	return (item || store->count < LISTS_MAX) &&
	       store->entries + acl->count - before <= ENTRIES_MAX &&
	       ipcfs_acl_share_has_room(store->shares, payer, item ? 0 : 1, acl->count - before);
}

/* Tells whether nobody gets more than the list grants if the mode alone counts. */
static bool mode_is_narrower(const struct ipcfs_acl *acl)
{
	mode_t mode = ipcfs_acl_plain_mode(acl);
	struct ipcfs_acl_entry entries[] = {
		{ .tag = IPCFS_ACL_USER_OBJ, .perm = mode >> 6 & 6 },
		{ .tag = IPCFS_ACL_GROUP_OBJ, .perm = mode >> 3 & 6 },
		{ .tag = IPCFS_ACL_OTHER, .perm = mode & 6 },
	};
	const struct ipcfs_acl plain = { 3, entries };

	return ipcfs_acl_narrows(acl, &plain);
}

/*
 * Writes the record's list in place of the item's. One that takes rights away and can't be written
 * is kept in memory. Errors as ipcfs_acl_store_set. Call with store->writers held.
 */
static int write_list(struct ipcfs_acl_store *store, struct ipcfs_acl_item *item,
		      const struct ipcfs_acl_record *record)
{
	int error = ipcfs_acl_dir_write(&store->dir, record, &item->place);

	if ((error != -ENOSPC && error != -EIO) || !item->record.acl.count ||
	    !ipcfs_acl_narrows(&item->record.acl, &record->acl) || !mode_is_narrower(&record->acl))
		return error;
	if (ipcfs_acl_dir_remove(&store->dir, &item->place))
		return error;
	ipcfs_log(LOG_NOTICE, "the access control list of %s/%s/%s is kept in memory for now",
		  record->class->family, record->class->name, record->ref.name);
	return 0;
}

/*
 * Stores the record's list, which `payer` pays for. Call with store->writers held. After an error
 * nothing is changed.
 */
static int keep_list(struct ipcfs_acl_store *store, const struct ipcfs_acl_key *key,
		     struct ipcfs_acl_record *record, uid_t payer)
{
	struct ipcfs_acl_item *item = ipcfs_acl_store_find(store, key);
	size_t entries = record->acl.count;
	int error = 0;

	if (!has_room(store, item, &record->acl, payer))
		return -ENOSPC;
	if (ipcfs_acl_share_add(&store->shares, payer, entries))
		return -ENOMEM;
	if (!item)
		item = add_item(store, key);
	if (!item)
		error = -ENOMEM;
	else if (store->state == IPCFS_ACL_OWNED)
		error = write_list(store, item, record);
	if (!error) {
		fill_item(store, item, record, payer);
		return 0;
	}
	ipcfs_acl_share_drop(&store->shares, payer, entries);
	if (item && !item->record.acl.count)
		drop_item(store, item);
	return error;
}

/* Call with store->writers held. */
static void warn_once(struct ipcfs_acl_store *store)
{
	if (store->state == IPCFS_ACL_MEMORY && !store->warned_of_memory)
		ipcfs_log(LOG_NOTICE, "access control lists are kept in memory only");
	store->warned_of_memory = true;
}

void ipcfs_acl_store_removed(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			     const struct ipcfs_ref *ref)
{
	const struct ipcfs_acl_key key = key_of(class, ref);

	if (!atomic_load_explicit(&store->count, memory_order_acquire))
		return;
	pthread_mutex_lock(&store->writers);
	/* If this fails, the next sweep or start finds the list void. */
	(void)ipcfs_acl_store_drop(store, &key);
	pthread_mutex_unlock(&store->writers);
}

int ipcfs_acl_store_set(struct ipcfs_acl_store *store, const struct ipcfs_class *class,
			const struct ipcfs_info *info, const struct ipcfs_acl *acl)
{
	const struct ipcfs_acl_key key = key_of(class, &info->ref);
	struct ipcfs_acl_record record;
	int error;

	if (acl->count > IPCFS_ACL_RECORD_ENTRIES)
		return -ENOSPC;
	ipcfs_acl_record_of(&record, class, info);
	error = ipcfs_acl_copy(&record.acl, acl);
	if (error)
		return error;
	pthread_mutex_lock(&store->writers);
	if (store->state == IPCFS_ACL_FOREIGN)
		error = -EBUSY;
	else if (ipcfs_acl_is_extended(acl))
		error = ipcfs_acl_store_start_thread(store);
	else
		error = ipcfs_acl_store_drop(store, &key);
	if (!error && ipcfs_acl_is_extended(acl))
		error = keep_list(store, &key, &record, info->perm.uid);
	if (!error)
		warn_once(store);
	pthread_mutex_unlock(&store->writers);
	ipcfs_acl_free(&record.acl);
	return error;
}

void ipcfs_acl_store_end(struct ipcfs_acl_store *store)
{
	struct ipcfs_acl_item *item, *next;

	(void)ipcfs_acl_store_stop_thread(store);
	pthread_mutex_lock(&store->writers);
	HASH_ITER (hh, store->items, item, next)
		if (store->state == IPCFS_ACL_OWNED)
			(void)ipcfs_acl_dir_remove(&store->dir, &item->place);
	drop_all(store);
	ipcfs_acl_dir_close(&store->dir, true);
	store->state = IPCFS_ACL_MEMORY;
	pthread_mutex_unlock(&store->writers);
}
