/* SPDX-License-Identifier: MIT */
#include "fs/base/lock_list.h"

#include <errno.h>
#include <stdlib.h>

static bool overlaps(const struct ipcfs_lock *one, const struct ipcfs_lock *other)
{
	return one->flock == other->flock && one->start <= other->end && other->start <= one->end;
}

const struct ipcfs_lock *ipcfs_lock_conflict(const struct ipcfs_lock *locks,
					     const struct ipcfs_lock *wanted)
{
	for (; locks; locks = locks->next)
		if (locks->owner != wanted->owner && overlaps(locks, wanted) &&
		    (locks->exclusive || wanted->exclusive))
			break;
	return locks;
}

static void remove_at(struct ipcfs_lock **link)
{
	struct ipcfs_lock *lock = *link;

	*link = lock->next;
	free(lock);
}

/* Splits a lock around a range inside of it. `rest` becomes the part behind the range. */
static void split(struct ipcfs_lock *lock, const struct ipcfs_lock *range, struct ipcfs_lock *rest)
{
	*rest = *lock;
	rest->start = range->end + 1;
	lock->end = range->start - 1;
	lock->next = rest;
}

/* Returns whether one more lock by this open file would be too many. */
static bool is_full(const struct ipcfs_lock *locks, uint64_t file)
{
	unsigned of_file = 0, all = 0;

	for (; locks; locks = locks->next, all++)
		of_file += locks->file == file;
	return of_file >= IPCFS_LOCKS_MAX || all >= IPCFS_LOCKS_ALL_MAX;
}

int ipcfs_lock_drop(struct ipcfs_lock **locks, const struct ipcfs_lock *range)
{
	struct ipcfs_lock *rest = malloc(sizeof(*rest)); /* at most one lock is split */
	struct ipcfs_lock **first = locks;
	int err = 0;

	if (!rest)
		return -ENOMEM;
	while (*locks) {
		struct ipcfs_lock *lock = *locks;

		if (lock->owner == range->owner && overlaps(lock, range)) {
			if (lock->start >= range->start && lock->end <= range->end) {
				remove_at(locks);
				continue;
			}
			if (lock->start < range->start && lock->end > range->end) {
				if (is_full(*first, lock->file)) {
					err = -ENOLCK;
					break;
				}
				split(lock, range, rest);
				return 0;
			}
			if (lock->start < range->start)
				lock->end = range->start - 1;
			else
				lock->start = range->end + 1;
		}
		locks = &lock->next;
	}
	free(rest);
	return err;
}

int ipcfs_lock_take(struct ipcfs_lock **locks, const struct ipcfs_lock *wanted)
{
	struct ipcfs_lock *fresh;
	int err;

	if (is_full(*locks, wanted->file))
		return -ENOLCK;
	fresh = malloc(sizeof(*fresh));
	err = fresh ? ipcfs_lock_drop(locks, wanted) : -ENOMEM;
	if (err) {
		free(fresh);
		return err;
	}
	*fresh = *wanted;
	fresh->next = *locks;
	*locks = fresh;
	return 0;
}

void ipcfs_lock_drop_owner(struct ipcfs_lock **locks, uint64_t owner)
{
	while (*locks)
		if (!(*locks)->flock && (*locks)->owner == owner)
			remove_at(locks);
		else
			locks = &(*locks)->next;
}

void ipcfs_lock_drop_file(struct ipcfs_lock **locks, uint64_t file)
{
	while (*locks)
		if ((*locks)->file == file)
			remove_at(locks);
		else
			locks = &(*locks)->next;
}
