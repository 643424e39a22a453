/* SPDX-License-Identifier: MIT */
#include "fs/tree/charges.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/access/quota.h"
#include "fs/base/clock.h"

#define CHECK_NS (5 * 1000 * 1000)
#define CHECK_SOME 2	 /* objects that are looked at for each new charge */
#define PASS_AT_ONCE 256 /* objects of others, with the lock held: much less than 1 ms */

/* Call the static functions from here on to find_next with the lock held. */
static struct ipcfs_charge *find_charge(const struct ipcfs_object *object, uid_t uid)
{
	struct ipcfs_charge *charge = object->segment.charges;

	while (charge && charge->uid != uid)
		charge = charge->next;
	return charge;
}

/* Returns the user's charge, made if there is none. NULL: there is no memory, or the limit. */
static struct ipcfs_charge *get_charge(struct ipcfs_objects *objects, struct ipcfs_object *object,
				       uid_t uid)
{
	struct ipcfs_charge *charge = find_charge(object, uid);

	if (charge)
		return charge;
	charge = calloc(1, sizeof(*charge));
	if (!charge || ipcfs_quota_memory(objects->quota, uid, IPCFS_CHARGE_BYTES, false)) {
		free(charge);
		return NULL;
	}
	charge->uid = uid;
	if (!object->segment.charges) {
		DL_APPEND2(objects->charged, object, prev_charged, next_charged);
		objects->charged_count++;
	}
	LL_PREPEND(object->segment.charges, charge);
	return charge;
}

/* Gives bytes back to the user, and drops a charge of nothing. */
static void reduce(struct ipcfs_objects *objects, struct ipcfs_object *object,
		   struct ipcfs_charge *charge, uint64_t bytes)
{
	charge->bytes -= bytes;
	ipcfs_quota_memory_freed(objects->quota, charge->uid, bytes);
	if (charge->bytes || charge->requests)
		return;
	ipcfs_quota_memory_freed(objects->quota, charge->uid, IPCFS_CHARGE_BYTES);
	LL_DELETE(object->segment.charges, charge);
	free(charge);
	if (!object->segment.charges) {
		DL_DELETE2(objects->charged, object, prev_charged, next_charged);
		objects->charged_count--;
	}
}

/* Gives back what is charged to each user beyond the memory that the object has. */
static void cut(struct ipcfs_objects *objects, struct ipcfs_object *object, uint64_t allocated)
{
	struct ipcfs_charge *charge, *next;

	LL_FOREACH_SAFE (object->segment.charges, charge, next)
		if (charge->bytes - charge->pending > allocated)
			reduce(objects, object, charge,
			       charge->bytes - charge->pending - allocated);
}

/*
 * Returns the next object that the user (NULL: anybody) pays for, with a reference, and puts it and
 * those before it to the end of the list. Looks at most at *left objects, and counts them down; 0:
 * there is none any more. NULL: there is none among the next ones.
 */
static struct ipcfs_object *find_next(struct ipcfs_objects *objects, const uid_t *uid,
				      unsigned *left)
{
	if (*left > objects->charged_count)
		*left = objects->charged_count;
	for (unsigned passed = 0; *left && passed < PASS_AT_ONCE; passed++) {
		struct ipcfs_object *object = objects->charged;

		(*left)--;
		DL_DELETE2(objects->charged, object, prev_charged, next_charged);
		DL_APPEND2(objects->charged, object, prev_charged, next_charged);
		if (uid && !find_charge(object, *uid))
			continue;
		object->references++;
		return object;
	}
	return NULL;
}

/* Returns the memory that the object has now, in bytes. 0: the object is gone. */
static uint64_t allocated_now(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	const struct ipcfs_space *before = ipcfs_object_enter(object);
	struct ipcfs_info info = { 0 };
	int err = object->class->stat(object->space, &object->ref, &info);

	if (err == -ENOENT) /* it may be open, and live without a name */
		err = ipcfs_object_fstat(objects, object, &info);
	ipcfs_space_leave(before);
	if (err && err != -ENOENT && err != -EIDRM)
		return UINT64_MAX; /* unknown */
	return err ? 0 : info.allocated;
}

/*
 * Looks for a few ms which of `left` objects (UINT_MAX: all) have less memory by now: of those that
 * the user (NULL: anybody) pays for.
 */
static void check_charges(struct ipcfs_objects *objects, const uid_t *uid, unsigned left)
{
	uint64_t end = ipcfs_clock_ns() + CHECK_NS, allocated;
	struct ipcfs_object *object;

	do {
		pthread_mutex_lock(&objects->lock);
		object = find_next(objects, uid, &left);
		pthread_mutex_unlock(&objects->lock);
		if (!object)
			continue;
		allocated = allocated_now(objects, object);
		pthread_mutex_lock(&objects->lock);
		cut(objects, object, allocated);
		pthread_mutex_unlock(&objects->lock);
		ipcfs_object_unref(objects, object);
	} while (left && ipcfs_clock_ns() < end);
}

/* Charges the bytes, if there is room. Returns 1 if the user pays for no other ones. -ENOMEM. */
static int try(struct ipcfs_objects *objects, struct ipcfs_object *object, uid_t uid,
	       uint64_t bytes)
{
	struct ipcfs_charge *charge;
	int err = -ENOMEM;
	bool fresh;

	pthread_mutex_lock(&objects->lock);
	fresh = !find_charge(object, uid);
	charge = get_charge(objects, object, uid);
	if (charge)
		err = ipcfs_quota_memory(objects->quota, uid, bytes, false);
	if (!err) {
		charge->bytes += bytes;
		charge->pending += bytes;
		charge->requests++;
	} else if (charge) {
		reduce(objects, object, charge, 0);
	}
	pthread_mutex_unlock(&objects->lock);
	return err ? err : fresh;
}

int ipcfs_charges_begin(struct ipcfs_objects *objects, struct ipcfs_object *object, uid_t uid,
			uint64_t bytes)
{
	int err = try(objects, object, uid, bytes);

	if (err < 0) {
		check_charges(objects, &uid, UINT_MAX);
		err = try(objects, object, uid, bytes);
	} else if (err) {
		check_charges(objects, NULL, CHECK_SOME);
	}
	return err < 0 ? err : 0;
}

void ipcfs_charges_end(struct ipcfs_objects *objects, struct ipcfs_object *object, uid_t uid,
		       uint64_t bytes, uint64_t grown)
{
	struct ipcfs_charge *charge;

	pthread_mutex_lock(&objects->lock);
	charge = find_charge(object, uid);
	charge->pending -= bytes;
	charge->requests--;
	if (grown <= bytes)
		reduce(objects, object, charge, bytes - grown);
	else if (!ipcfs_quota_memory(objects->quota, uid, grown - bytes, true))
		charge->bytes += grown - bytes; /* most was too low */
	pthread_mutex_unlock(&objects->lock);
}
