/* SPDX-License-Identifier: MIT */
#include "fs/access/quota.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "backends/contract/fault.h"
#include "fs/base/clock.h"
#include "fs/base/hash.h"
#include "fs/base/log.h"

#define SECOND UINT64_C(1000000000) /* ns */
#define ENTRIES_MIN 64		    /* fewer are never searched for idle ones */

#define LOG_EVERY (60 * SECOND) /* between two lines about one limit of one uid */
#define NEWS_MAX 8		/* limits that are to be logged; of more the line is left out */

enum use { WAITING, OPEN, LEASED, LEASING, MAKING, USES };
enum logged { OF_BYTES, OF_LEASES, LOGGED };

struct entry {
	uid_t uid;
	unsigned uses[USES];
	size_t bytes;
	size_t memory; /* of segments, in bytes */
	bool holding;  /* see ipcfs_quota_charge_cached */
	/* when a refusal by a limit was logged last, ns; 0: never; index: enum logged */
	uint64_t logged[LOGGED];
	/*
	 * The bucket of `rate` tokens, as the time at which it will be full again (ns). A request
	 * moves that time on by the time in which one token comes back. It is refused if the time
	 * would be more than a second ahead.
	 */
	uint64_t full;
	UT_hash_handle hh;
};

/* A limit that a uid has reached. */
struct news {
	uid_t uid;
	enum logged limit;
};

struct ipcfs_quota {
	pthread_mutex_t lock; /* guards what follows */
	struct entry *entries;
	unsigned waiting;  /* of all uids */
	unsigned open;	   /* files, of all uids */
	unsigned sweep_at; /* number of entries at which idle ones are dropped */
	unsigned max_waiters, max_waiters_all, max_opens, max_leases, max_objects, rate;
	size_t max_bytes;
	struct news news[NEWS_MAX]; /* for ipcfs_quota_tell */
	atomic_uint nnews;	    /* changed with the lock held */
};

int ipcfs_quota_create(const struct ipcfs_settings *limits, struct ipcfs_quota **quota)
{
	struct ipcfs_quota *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	pthread_mutex_init(&fresh->lock, NULL);
	fresh->sweep_at = ENTRIES_MIN;
	ipcfs_quota_limit(fresh, limits);
	*quota = fresh;
	return 0;
}

/* Call the static functions from here on to ipcfs_quota_limit with quota->lock held. */
static void drop_entry(struct ipcfs_quota *quota, struct entry *entry)
{
	HASH_DEL(quota->entries, entry);
	free(entry);
}

/* Tells a test that something still counts at the end. Bytes of nodes do. */
static void tell_left(const struct entry *entry)
{
	bool left = entry->memory || entry->bytes > SIZE_MAX / 2;

	for (unsigned i = 0; i < USES; i++)
		left |= entry->uses[i] > 0;
	if (left)
		(void)ipcfs_fault("quota.left");
}

void ipcfs_quota_destroy(struct ipcfs_quota *quota)
{
	struct entry *entry, *next;

	if (!quota)
		return;
	HASH_ITER (hh, quota->entries, entry, next) {
		tell_left(entry);
		drop_entry(quota, entry);
	}
	pthread_mutex_destroy(&quota->lock);
	free(quota);
}

static bool is_unused(const struct entry *entry)
{
	for (unsigned i = 0; i < USES; i++)
		if (entry->uses[i])
			return false;
	return entry->bytes == 0 && entry->memory == 0;
}

/*
 * Returns whether a limit of the uid was logged so lately that this must not be forgotten. `now` is
 * 0 if the time is not known: then, whether it ever was.
 */
static bool was_logged(const struct entry *entry, uint64_t now)
{
	for (unsigned i = 0; i < LOGGED; i++)
		if (entry->logged[i] && (!now || now - entry->logged[i] < LOG_EVERY))
			return true;
	return false;
}

/* Drops entries that use nothing, have a full bucket, and of which nothing was logged lately. */
static void drop_idle(struct ipcfs_quota *quota, uint64_t now)
{
	struct entry *entry, *next;

	HASH_ITER (hh, quota->entries, entry, next)
		if (is_unused(entry) && entry->full <= now && !was_logged(entry, now))
			drop_entry(quota, entry);
	quota->sweep_at = 2 * HASH_COUNT(quota->entries);
	if (quota->sweep_at < ENTRIES_MIN)
		quota->sweep_at = ENTRIES_MIN;
}

static struct entry *find_entry(const struct ipcfs_quota *quota, uid_t uid)
{
	struct entry *entry;

	HASH_FIND(hh, quota->entries, &uid, sizeof(uid), entry);
	return entry;
}

/* Returns the entry of the uid, made if there is none. `now` is 0 if not known. NULL: no memory. */
static struct entry *get_entry(struct ipcfs_quota *quota, uid_t uid, uint64_t now)
{
	struct entry *entry = find_entry(quota, uid);

	if (entry)
		return entry;
	if (HASH_COUNT(quota->entries) >= quota->sweep_at)
		drop_idle(quota, now ? now : ipcfs_clock_ns());
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->uid = uid;
	HASH_ADD(hh, quota->entries, uid, sizeof(uid), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* Counts one more. Returns `refusal` if `limit` (0: none) is reached, or -ENOMEM. */
static int count_up(struct ipcfs_quota *quota, uid_t uid, enum use use, unsigned limit, int refusal)
{
	struct entry *entry = get_entry(quota, uid, 0);

	if (!entry)
		return -ENOMEM;
	if (limit && entry->uses[use] >= limit)
		return refusal;
	entry->uses[use]++;
	return 0;
}

/* Drops the entry if nothing is counted or remembered there. */
static void drop_unused(struct ipcfs_quota *quota, struct entry *entry)
{
	if (is_unused(entry) && entry->full == 0 && !was_logged(entry, 0))
		drop_entry(quota, entry);
}

static void count_down(struct ipcfs_quota *quota, uid_t uid, enum use use)
{
	struct entry *entry = find_entry(quota, uid);

	entry->uses[use]--;
	drop_unused(quota, entry);
}

static bool is_full(const struct ipcfs_quota *quota, uid_t uid)
{
	const struct entry *entry = find_entry(quota, uid);

	return quota->waiting >= quota->max_waiters_all ||
	       (entry && entry->uses[WAITING] >= quota->max_waiters);
}

void ipcfs_quota_limit(struct ipcfs_quota *quota, const struct ipcfs_settings *limits)
{
	pthread_mutex_lock(&quota->lock);
	quota->max_waiters = limits->max_waiters;
	quota->max_waiters_all = limits->max_waiters_all;
	quota->max_opens = limits->max_opens;
	quota->max_leases = limits->max_leases;
	quota->max_objects = limits->max_objects;
	quota->max_bytes = limits->max_bytes;
	quota->rate = limits->rate;
	if (quota->rate == 0) /* buckets are not used */
		drop_idle(quota, UINT64_MAX);
	pthread_mutex_unlock(&quota->lock);
}

bool ipcfs_quota_is_full(struct ipcfs_quota *quota, uid_t uid)
{
	bool full;

	pthread_mutex_lock(&quota->lock);
	full = is_full(quota, uid);
	pthread_mutex_unlock(&quota->lock);
	return full;
}

int ipcfs_quota_wait(struct ipcfs_quota *quota, uid_t uid)
{
	int err = -EAGAIN;

	pthread_mutex_lock(&quota->lock);
	if (!is_full(quota, uid))
		err = count_up(quota, uid, WAITING, 0, 0);
	if (!err)
		quota->waiting++;
	pthread_mutex_unlock(&quota->lock);
	return err;
}

void ipcfs_quota_waited(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	quota->waiting--;
	count_down(quota, uid, WAITING);
	pthread_mutex_unlock(&quota->lock);
}

int ipcfs_quota_open(struct ipcfs_quota *quota, uid_t uid)
{
	int err;

	pthread_mutex_lock(&quota->lock);
	err = count_up(quota, uid, OPEN, quota->max_opens, -EMFILE);
	if (!err)
		quota->open++;
	pthread_mutex_unlock(&quota->lock);
	return err;
}

void ipcfs_quota_closed(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	quota->open--;
	count_down(quota, uid, OPEN);
	pthread_mutex_unlock(&quota->lock);
}

void ipcfs_quota_totals(struct ipcfs_quota *quota, struct ipcfs_quota_totals *totals)
{
	pthread_mutex_lock(&quota->lock);
	*totals = (struct ipcfs_quota_totals){ quota->waiting, quota->max_waiters_all,
					       quota->open };
	pthread_mutex_unlock(&quota->lock);
}

/* Notes a refusal by this limit, once in a while. Call with the lock held. */
static void note_news(struct ipcfs_quota *quota, struct entry *entry, enum logged limit)
{
	unsigned count = atomic_load(&quota->nnews);
	uint64_t now = ipcfs_clock_ns();

	if (count == NEWS_MAX || (entry->logged[limit] && now - entry->logged[limit] < LOG_EVERY))
		return;
	entry->logged[limit] = now;
	quota->news[count] = (struct news){ .uid = entry->uid, .limit = limit };
	atomic_store(&quota->nnews, count + 1);
}

void ipcfs_quota_tell(struct ipcfs_quota *quota)
{
	static const char *const names[] = { "max_bytes", "max_leases" };
	struct news news[NEWS_MAX];
	unsigned count;

	if (!atomic_load_explicit(&quota->nnews, memory_order_relaxed))
		return;
	pthread_mutex_lock(&quota->lock);
	count = atomic_load(&quota->nnews);
	memcpy(news, quota->news, sizeof(news));
	atomic_store(&quota->nnews, 0);
	pthread_mutex_unlock(&quota->lock);
	for (unsigned i = 0; i < count; i++)
		ipcfs_log(LOG_NOTICE, "uid %u has reached %s", news[i].uid, names[news[i].limit]);
}

int ipcfs_quota_lease(struct ipcfs_quota *quota, uid_t uid)
{
	unsigned limit, leased;
	struct entry *entry;
	int err = -ENOMEM;

	pthread_mutex_lock(&quota->lock);
	limit = quota->max_leases;
	entry = get_entry(quota, uid, 0);
	if (entry) {
		leased = entry->uses[LEASED];
		err = !limit || leased + entry->uses[LEASING] < limit ? 0 : -EAGAIN;
		if (limit && leased >= limit)
			err = -EDQUOT;
		if (!err)
			entry->uses[LEASING]++;
		if (err == -EDQUOT)
			note_news(quota, entry, OF_LEASES);
	}
	pthread_mutex_unlock(&quota->lock);
	return err;
}

void ipcfs_quota_leased(struct ipcfs_quota *quota, uid_t uid)
{
	struct entry *entry;

	pthread_mutex_lock(&quota->lock);
	entry = find_entry(quota, uid);
	entry->uses[LEASING]--;
	entry->uses[LEASED]++;
	pthread_mutex_unlock(&quota->lock);
}

void ipcfs_quota_lease_goes_on(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	find_entry(quota, uid)->uses[LEASED]++; /* the open file is counted there */
	pthread_mutex_unlock(&quota->lock);
}

void ipcfs_quota_lease_failed(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	count_down(quota, uid, LEASING);
	pthread_mutex_unlock(&quota->lock);
}

void ipcfs_quota_lease_ended(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	count_down(quota, uid, LEASED);
	pthread_mutex_unlock(&quota->lock);
}

/*
 * Counts bytes, up to `limit` (0: none). *used: how many the uid has then. Returns -ENOMEM, and
 * notes that the limit was reached. Call with the lock held, which this releases.
 */
static int add_bytes(struct ipcfs_quota *quota, uid_t uid, size_t bytes, size_t limit, size_t *used)
{
	struct entry *entry = get_entry(quota, uid, 0);
	int err = entry ? 0 : -ENOMEM;

	if (entry && limit && (entry->bytes > limit || bytes > limit - entry->bytes)) {
		err = -ENOMEM;
		note_news(quota, entry, OF_BYTES);
		drop_unused(quota, entry);
	}
	if (!err) {
		entry->bytes += bytes;
		*used = entry->bytes;
	}
	pthread_mutex_unlock(&quota->lock);
	return err;
}

int ipcfs_quota_charge(struct ipcfs_quota *quota, uid_t uid, size_t bytes)
{
	size_t used;

	if (bytes == 0)
		return 0;
	pthread_mutex_lock(&quota->lock);
	return add_bytes(quota, uid, bytes, quota->max_bytes, &used);
}

size_t ipcfs_quota_charge_kept(struct ipcfs_quota *quota, uid_t uid, size_t bytes)
{
	size_t used;

	if (bytes == 0)
		return 0;
	pthread_mutex_lock(&quota->lock);
	return add_bytes(quota, uid, bytes, 0, &used) ? 0 : bytes;
}

int ipcfs_quota_charge_cached(struct ipcfs_quota *quota, uid_t uid, size_t bytes)
{
	const struct entry *entry;
	size_t limit, max, used;
	int err;

	pthread_mutex_lock(&quota->lock);
	entry = find_entry(quota, uid);
	limit = max = quota->max_bytes;
	if (!(entry && entry->holding) && max <= SIZE_MAX / 2)
		limit *= 2;
	err = add_bytes(quota, uid, bytes, limit, &used);
	return err ? err : max && used > max / 2;
}

void ipcfs_quota_set_holding(struct ipcfs_quota *quota, uid_t uid, bool holding)
{
	struct entry *entry;

	pthread_mutex_lock(&quota->lock);
	entry = find_entry(quota, uid);
	if (entry)
		entry->holding = holding;
	pthread_mutex_unlock(&quota->lock);
}

void ipcfs_quota_release(struct ipcfs_quota *quota, uid_t uid, size_t bytes)
{
	struct entry *entry;

	if (bytes == 0)
		return;
	pthread_mutex_lock(&quota->lock);
	entry = find_entry(quota, uid);
	entry->bytes -= bytes;
	drop_unused(quota, entry);
	pthread_mutex_unlock(&quota->lock);
}

int ipcfs_quota_recharge(struct ipcfs_quota *quota, uid_t uid, size_t *charged, size_t bytes)
{
	int err = 0;

	if (bytes > *charged)
		err = ipcfs_quota_charge(quota, uid, bytes - *charged);
	else
		ipcfs_quota_release(quota, uid, *charged - bytes);
	if (!err)
		*charged = bytes;
	return err;
}

int ipcfs_quota_memory(struct ipcfs_quota *quota, uid_t uid, size_t bytes, bool made)
{
	struct entry *entry;
	size_t max;
	int err = 0;

	pthread_mutex_lock(&quota->lock);
	entry = get_entry(quota, uid, 0);
	max = quota->max_bytes;
	if (!entry) {
		err = -ENOMEM;
	} else if (!made && max && (entry->memory > max || bytes > max - entry->memory)) {
		err = -ENOMEM;
		note_news(quota, entry, OF_BYTES);
		drop_unused(quota, entry);
	} else {
		entry->memory += bytes;
	}
	pthread_mutex_unlock(&quota->lock);
	return err;
}

void ipcfs_quota_memory_freed(struct ipcfs_quota *quota, uid_t uid, size_t bytes)
{
	struct entry *entry;

	if (bytes == 0)
		return;
	pthread_mutex_lock(&quota->lock);
	entry = find_entry(quota, uid);
	entry->memory -= bytes;
	drop_unused(quota, entry);
	pthread_mutex_unlock(&quota->lock);
}

int ipcfs_quota_make(struct ipcfs_quota *quota, uid_t uid, unsigned *limit)
{
	int result = 0;

	pthread_mutex_lock(&quota->lock);
	*limit = quota->max_objects;
	if (*limit) {
		result = count_up(quota, uid, MAKING, 0, 0);
		if (!result)
			result = (int)find_entry(quota, uid)->uses[MAKING];
	}
	pthread_mutex_unlock(&quota->lock);
	return result;
}

void ipcfs_quota_made(struct ipcfs_quota *quota, uid_t uid)
{
	pthread_mutex_lock(&quota->lock);
	count_down(quota, uid, MAKING);
	pthread_mutex_unlock(&quota->lock);
}

int ipcfs_quota_take(struct ipcfs_quota *quota, uid_t uid, uint64_t now)
{
	struct entry *entry;
	int err = 0;

	pthread_mutex_lock(&quota->lock);
	if (quota->rate) {
		entry = get_entry(quota, uid, now);
		if (!entry) {
			err = -ENOMEM;
		} else {
			uint64_t full = (entry->full > now ? entry->full : now) +
					SECOND / quota->rate;

			if (full > now + SECOND)
				err = -EAGAIN;
			else
				entry->full = full;
		}
	}
	pthread_mutex_unlock(&quota->lock);
	return err;
}
