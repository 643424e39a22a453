/* SPDX-License-Identifier: MIT */
/*
 * The use of each uid, and its limits: requests that wait, open files, leased messages, bytes kept,
 * objects being made, requests per second. All functions take the quota's own lock, which is innermost.
 * Everything that is counted must be given back later by the same uid, except the tokens of
 * ipcfs_quota_take.
 *
 * A uid takes memory while it uses something or has not all its tokens. After that its entry is
 * dropped when it gives the last thing back, or with all idle entries when their number has
 * doubled.
 */
#ifndef IPCFS_QUOTA_H
#define IPCFS_QUOTA_H

#include <sys/types.h>

#include "fs/base/settings.h"

struct ipcfs_quota;

/* Creates a quota with the limits of these settings. -ENOMEM. */
int ipcfs_quota_create(const struct ipcfs_settings *limits, struct ipcfs_quota **quota);
void ipcfs_quota_destroy(struct ipcfs_quota *quota);

/* Changes the limits. A uid keeps what it uses already. */
void ipcfs_quota_limit(struct ipcfs_quota *quota, const struct ipcfs_settings *limits);

/*
 * Counts a request that waits, until ipcfs_quota_waited.
 *   -EAGAIN: max_waiters or max_waiters_all is reached.
 *   -ENOMEM
 */
int ipcfs_quota_wait(struct ipcfs_quota *quota, uid_t uid);
void ipcfs_quota_waited(struct ipcfs_quota *quota, uid_t uid);

/* Tells whether ipcfs_quota_wait would return -EAGAIN. */
bool ipcfs_quota_is_full(struct ipcfs_quota *quota, uid_t uid);

/*
 * Counts an open file, until ipcfs_quota_closed.
 *   -EMFILE: max_opens is reached.
 *   -ENOMEM
 */
int ipcfs_quota_open(struct ipcfs_quota *quota, uid_t uid);
void ipcfs_quota_closed(struct ipcfs_quota *quota, uid_t uid);

/* What all uids use together. */
struct ipcfs_quota_totals {
	unsigned waiting, waiting_limit; /* requests, and max_waiters_all */
	unsigned open;			 /* files */
};

/* Returns the totals, of one moment. */
void ipcfs_quota_totals(struct ipcfs_quota *quota, struct ipcfs_quota_totals *totals);

/*
 * Counts an attempt to lease a message, until ipcfs_quota_leased or ipcfs_quota_lease_failed.
 *   -EDQUOT: max_leases is reached, which is logged once in a while.
 *   -EAGAIN: it may be, as other attempts of the uid go on.
 *   -ENOMEM
 */
int ipcfs_quota_lease(struct ipcfs_quota *quota, uid_t uid);

/* Counts a lease that goes on with another worker. */
void ipcfs_quota_lease_goes_on(struct ipcfs_quota *quota, uid_t uid);

/* End an attempt: there is a lease, which is counted until ipcfs_quota_lease_ended, or none. */
void ipcfs_quota_leased(struct ipcfs_quota *quota, uid_t uid);
void ipcfs_quota_lease_failed(struct ipcfs_quota *quota, uid_t uid);
void ipcfs_quota_lease_ended(struct ipcfs_quota *quota, uid_t uid);

/*
 * Counts bytes that are kept for the uid, until ipcfs_quota_release of the same number.
 *   -ENOMEM: the uid would have more than max_bytes, which ipcfs_quota_tell logs; or there is no
 *   memory.
 */
int ipcfs_quota_charge(struct ipcfs_quota *quota, uid_t uid, size_t bytes);
void ipcfs_quota_release(struct ipcfs_quota *quota, uid_t uid, size_t bytes);

/*
 * Counts bytes that the kernel may have released as soon as it is asked, as those of names that
 * nobody uses. They may make twice max_bytes, unless ipcfs_quota_set_holding has said that the uid
 * holds such bytes. Returns 1 if more than half of max_bytes is used: the kernel is to be asked.
 * -ENOMEM: as ipcfs_quota_charge; the kernel is to be asked, too.
 */
int ipcfs_quota_charge_cached(struct ipcfs_quota *quota, uid_t uid, size_t bytes);
void ipcfs_quota_set_holding(struct ipcfs_quota *quota, uid_t uid, bool holding);

/*
 * Logs which uids have reached max_bytes since the last call, each once in a while. Takes no lock if
 * there are none. Call without any lock: the log may block.
 */
void ipcfs_quota_tell(struct ipcfs_quota *quota);

/*
 * Charges or releases what `bytes` differs from *charged, and sets *charged. Takes no lock if they
 * are equal. -ENOMEM: as ipcfs_quota_charge; nothing is changed. Fewer bytes never fail.
 */
int ipcfs_quota_recharge(struct ipcfs_quota *quota, uid_t uid, size_t *charged, size_t bytes);

/*
 * Counts bytes that are kept already, without regard to max_bytes. Returns what was counted, for
 * ipcfs_quota_release: `bytes`, or 0 without memory.
 */
size_t ipcfs_quota_charge_kept(struct ipcfs_quota *quota, uid_t uid, size_t bytes);

/*
 * Counts memory of segments that the daemon makes for the uid, until ipcfs_quota_memory_freed of as
 * many bytes. It is counted apart from the bytes above: a uid that has reached the limit with it
 * can still open and look at everything. With `made` the memory is there already, and counts
 * without regard to max_bytes.
 *   -ENOMEM: the uid would have more than max_bytes of it, which ipcfs_quota_tell logs; or there is
 *   no memory.
 */
int ipcfs_quota_memory(struct ipcfs_quota *quota, uid_t uid, size_t bytes, bool made);
void ipcfs_quota_memory_freed(struct ipcfs_quota *quota, uid_t uid, size_t bytes);

/*
 * Counts an object that the uid is about to make, until ipcfs_quota_made. Returns how many the uid
 * is making, with this one. *limit is max_objects. If that is 0, nothing is counted, 0 is returned,
 * and ipcfs_quota_made must not be called. -ENOMEM.
 */
int ipcfs_quota_make(struct ipcfs_quota *quota, uid_t uid, unsigned *limit);
void ipcfs_quota_made(struct ipcfs_quota *quota, uid_t uid);

/*
 * Takes a token for a request at the time `now`, in ns of a monotonic clock.
 *   -EAGAIN: there were more than `rate` requests in a second.
 *   -ENOMEM: the request can't be counted.
 */
int ipcfs_quota_take(struct ipcfs_quota *quota, uid_t uid, uint64_t now);

#endif
