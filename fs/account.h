/* SPDX-License-Identifier: MIT */
/*
 * What each uid uses, and how much it may: requests that wait, open files, unfinished messages, makes
 * under way, requests per second. Everything here takes the account's own lock, which is innermost; none
 * but take may be called without what it counts being given back later, by the same uid.
 *
 * A uid that uses nothing, and could send a second's worth of requests at once, takes no memory for
 * long: its entry goes with the last thing it gives back, or when entries have doubled.
 */
#ifndef IPCFS_ACCOUNT_H
#define IPCFS_ACCOUNT_H

#include <sys/types.h>

#include "settings.h"

struct ipcfs_account;

/* -ENOMEM. The limits are those of ipcfs_account_limit. */
int ipcfs_account_create(const struct ipcfs_settings *limits, struct ipcfs_account **account);
void ipcfs_account_destroy(struct ipcfs_account *account);

/* From now on these limits. What is in use already stays so. */
void ipcfs_account_limit(struct ipcfs_account *account, const struct ipcfs_settings *limits);

/* One request more that waits. -EAGAIN: max_waiters or max_waiters_all is reached; -ENOMEM. */
int ipcfs_account_wait(struct ipcfs_account *account, uid_t uid);
void ipcfs_account_waited(struct ipcfs_account *account, uid_t uid);

/* Would ipcfs_account_wait be refused? */
bool ipcfs_account_is_full(struct ipcfs_account *account, uid_t uid);

/* One open file more. -EMFILE: max_opens is reached; -ENOMEM. */
int ipcfs_account_open(struct ipcfs_account *account, uid_t uid);
void ipcfs_account_closed(struct ipcfs_account *account, uid_t uid);

/*
 * One message more of which only a part was written. -EAGAIN: there are IPCFS_UNFINISHED_MAX of
 * this uid; -ENOMEM.
 */
int ipcfs_account_begin(struct ipcfs_account *account, uid_t uid);
void ipcfs_account_finished(struct ipcfs_account *account, uid_t uid);

#define IPCFS_UNFINISHED_MAX 4096

/*
 * The uid is about to make an object: how many it is making, this one included. Where there is no
 * max_objects this is 0, and ipcfs_account_made is not to be called. -ENOMEM. *limit: max_objects.
 */
int ipcfs_account_make(struct ipcfs_account *account, uid_t uid, unsigned *limit);
void ipcfs_account_made(struct ipcfs_account *account, uid_t uid);

/*
 * A request at `now` (ns of a monotonic clock). -EAGAIN: more than `rate` of them in a second.
 * -ENOMEM: no memory to count it.
 */
int ipcfs_account_take(struct ipcfs_account *account, uid_t uid, uint64_t now);

/* How many uids have an entry. For tests. */
unsigned ipcfs_account_size(struct ipcfs_account *account);

#endif
