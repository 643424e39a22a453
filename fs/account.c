/* SPDX-License-Identifier: MIT */
#include "account.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "hash.h"

#define SECOND UINT64_C(1000000000) /* ns */
#define ENTRIES_MIN 64		    /* fewer are not worth a look */

enum use { WAITING, OPEN, UNFINISHED, MAKING, USES };

struct entry {
	uid_t uid;
	unsigned uses[USES];
	/*
	 * The bucket of `rate` tokens, as the time at which it is full again (ns). A request moves that
	 * on by what one token takes, and may not move it further than a second ahead.
	 */
	uint64_t full;
	UT_hash_handle hh;
};

struct ipcfs_account {
	pthread_mutex_t lock; /* guards what follows */
	struct entry *entries;
	unsigned waiting; /* of all uids */
	unsigned sweep;	  /* so many entries are a reason to look for idle ones */
	unsigned max_waiters, max_waiters_all, max_opens, max_objects, rate;
};

int ipcfs_account_create(const struct ipcfs_settings *limits, struct ipcfs_account **account)
{
	struct ipcfs_account *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	pthread_mutex_init(&fresh->lock, NULL);
	fresh->sweep = ENTRIES_MIN;
	ipcfs_account_limit(fresh, limits);
	*account = fresh;
	return 0;
}

/* Called with the lock held, as all that follows up to ipcfs_account_limit. */
static void drop(struct ipcfs_account *account, struct entry *entry)
{
	HASH_DEL(account->entries, entry);
	free(entry);
}

void ipcfs_account_destroy(struct ipcfs_account *account)
{
	struct entry *entry, *next;

	if (!account)
		return;
	HASH_ITER (hh, account->entries, entry, next)
		drop(account, entry);
	pthread_mutex_destroy(&account->lock);
	free(account);
}

static bool is_unused(const struct entry *entry)
{
	for (unsigned i = 0; i < USES; i++)
		if (entry->uses[i])
			return false;
	return true;
}

/* `now` is 0 where nobody has looked at the clock: a bucket that was ever used may then not be full. */
static void sweep(struct ipcfs_account *account, uint64_t now)
{
	struct entry *entry, *next;

	HASH_ITER (hh, account->entries, entry, next)
		if (is_unused(entry) && entry->full <= now)
			drop(account, entry);
	account->sweep = 2 * HASH_COUNT(account->entries);
	if (account->sweep < ENTRIES_MIN)
		account->sweep = ENTRIES_MIN;
}

static struct entry *find(const struct ipcfs_account *account, uid_t uid)
{
	struct entry *entry;

	HASH_FIND(hh, account->entries, &uid, sizeof(uid), entry);
	return entry;
}

/* NULL: no memory. */
static struct entry *get(struct ipcfs_account *account, uid_t uid, uint64_t now)
{
	struct entry *entry = find(account, uid);

	if (entry)
		return entry;
	if (HASH_COUNT(account->entries) >= account->sweep)
		sweep(account, now);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->uid = uid;
	HASH_ADD(hh, account->entries, uid, sizeof(uid), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* One more, but never over `limit` (0: none), which is then `refusal`. */
static int count_up(struct ipcfs_account *account, uid_t uid, enum use use, unsigned limit,
		    int refusal)
{
	struct entry *entry = get(account, uid, 0);

	if (!entry)
		return -ENOMEM;
	if (limit && entry->uses[use] >= limit)
		return refusal;
	entry->uses[use]++;
	return 0;
}

static void count_down(struct ipcfs_account *account, uid_t uid, enum use use)
{
	struct entry *entry = find(account, uid);

	entry->uses[use]--;
	if (is_unused(entry) && entry->full == 0)
		drop(account, entry);
}

static bool is_full(const struct ipcfs_account *account, uid_t uid)
{
	const struct entry *entry = find(account, uid);

	return account->waiting >= account->max_waiters_all ||
	       (entry && entry->uses[WAITING] >= account->max_waiters);
}

void ipcfs_account_limit(struct ipcfs_account *account, const struct ipcfs_settings *limits)
{
	pthread_mutex_lock(&account->lock);
	account->max_waiters = limits->max_waiters;
	account->max_waiters_all = limits->max_waiters_all;
	account->max_opens = limits->max_opens;
	account->max_objects = limits->max_objects;
	account->rate = limits->rate;
	if (account->rate == 0) /* nobody's bucket will be looked at */
		sweep(account, UINT64_MAX);
	pthread_mutex_unlock(&account->lock);
}

bool ipcfs_account_is_full(struct ipcfs_account *account, uid_t uid)
{
	bool full;

	pthread_mutex_lock(&account->lock);
	full = is_full(account, uid);
	pthread_mutex_unlock(&account->lock);
	return full;
}

int ipcfs_account_wait(struct ipcfs_account *account, uid_t uid)
{
	int err = -EAGAIN;

	pthread_mutex_lock(&account->lock);
	if (!is_full(account, uid))
		err = count_up(account, uid, WAITING, 0, 0);
	if (!err)
		account->waiting++;
	pthread_mutex_unlock(&account->lock);
	return err;
}

void ipcfs_account_waited(struct ipcfs_account *account, uid_t uid)
{
	pthread_mutex_lock(&account->lock);
	account->waiting--;
	count_down(account, uid, WAITING);
	pthread_mutex_unlock(&account->lock);
}

int ipcfs_account_open(struct ipcfs_account *account, uid_t uid)
{
	int err;

	pthread_mutex_lock(&account->lock);
	err = count_up(account, uid, OPEN, account->max_opens, -EMFILE);
	pthread_mutex_unlock(&account->lock);
	return err;
}

static void give_back(struct ipcfs_account *account, uid_t uid, enum use use)
{
	pthread_mutex_lock(&account->lock);
	count_down(account, uid, use);
	pthread_mutex_unlock(&account->lock);
}

void ipcfs_account_closed(struct ipcfs_account *account, uid_t uid)
{
	give_back(account, uid, OPEN);
}

int ipcfs_account_begin(struct ipcfs_account *account, uid_t uid)
{
	int err;

	pthread_mutex_lock(&account->lock);
	err = count_up(account, uid, UNFINISHED, IPCFS_UNFINISHED_MAX, -EAGAIN);
	pthread_mutex_unlock(&account->lock);
	return err;
}

void ipcfs_account_finished(struct ipcfs_account *account, uid_t uid)
{
	give_back(account, uid, UNFINISHED);
}

int ipcfs_account_make(struct ipcfs_account *account, uid_t uid, unsigned *limit)
{
	int result = 0;

	pthread_mutex_lock(&account->lock);
	*limit = account->max_objects;
	if (*limit) {
		result = count_up(account, uid, MAKING, 0, 0);
		if (!result)
			result = (int)find(account, uid)->uses[MAKING];
	}
	pthread_mutex_unlock(&account->lock);
	return result;
}

void ipcfs_account_made(struct ipcfs_account *account, uid_t uid)
{
	give_back(account, uid, MAKING);
}

int ipcfs_account_take(struct ipcfs_account *account, uid_t uid, uint64_t now)
{
	struct entry *entry;
	int err = 0;

	pthread_mutex_lock(&account->lock);
	if (account->rate) {
		entry = get(account, uid, now);
		if (!entry) {
			err = -ENOMEM;
		} else {
			uint64_t full = (entry->full > now ? entry->full : now) +
					SECOND / account->rate;

			if (full > now + SECOND)
				err = -EAGAIN;
			else
				entry->full = full;
		}
	}
	pthread_mutex_unlock(&account->lock);
	return err;
}

unsigned ipcfs_account_size(struct ipcfs_account *account)
{
	unsigned size;

	pthread_mutex_lock(&account->lock);
	size = HASH_COUNT(account->entries);
	pthread_mutex_unlock(&account->lock);
	return size;
}
