/* SPDX-License-Identifier: MIT */
#include "fs/tree/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "backends/contract/fault.h"
#include "backends/contract/layout.h"
#include "fs/access/quota.h"
#include "fs/namespaces/registry.h"

#define SPARES_MAX 64 /* semaphores that stay open */
#define KEPT_MAX 4096 /* bounds the objects kept of queues that were removed without the mount */

/* The entry of an object in the ledger: this, and its name with a NUL. */
struct object_entry {
	uint32_t class; /* ipcfs_class_number */
	uint32_t key;
	uint64_t serial, generation, returned, leases_returned, deaths, counted;
	int64_t last_death;
	int32_t last_dead;
	bool removed;
};

uint64_t ipcfs_object_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct object_entry),
		offsetof(struct object_entry, key),
		offsetof(struct object_entry, serial),
		offsetof(struct object_entry, generation),
		offsetof(struct object_entry, returned),
		offsetof(struct object_entry, leases_returned),
		offsetof(struct object_entry, deaths),
		offsetof(struct object_entry, counted),
		offsetof(struct object_entry, last_death),
		offsetof(struct object_entry, last_dead),
		offsetof(struct object_entry, removed),
	};

	hash = ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
	for (size_t i = 0; ipcfs_classes[i]; i++) {
		hash = ipcfs_layout_name(hash, ipcfs_classes[i]->family);
		hash = ipcfs_layout_name(hash, ipcfs_classes[i]->name);
	}
	return hash;
}

uint32_t ipcfs_class_number(const struct ipcfs_class *class)
{
	uint32_t number = 0;

	if (!class)
		return 0;
	while (ipcfs_classes[number] != class)
		number++;
	return number + 1;
}

const struct ipcfs_class *ipcfs_class_at(uint32_t number)
{
	return number ? ipcfs_classes[number - 1] : NULL;
}

int ipcfs_objects_init(struct ipcfs_objects *objects)
{
	int err;

	*objects = (struct ipcfs_objects){ 0 };
	err = ipcfs_table_init(&objects->numbers, sizeof(struct ipcfs_object *));
	if (!err)
		pthread_mutex_init(&objects->lock, NULL);
	return err;
}

/* Opens the object by its class. */
static int open_handle(const struct ipcfs_object *object, enum ipcfs_direction direction,
		       int *handle)
{
	const struct ipcfs_class *class = object->class;

	if (class->segment)
		return class->segment->open(object->space, &object->ref, direction == IPCFS_SEND,
					    handle);
	if (class->semaphore)
		return class->semaphore->open(object->space, &object->ref, handle);
	return class->queue->open(object->space, &object->ref, direction, handle);
}

static void close_handle(const struct ipcfs_class *class, int handle)
{
	if (class->segment)
		class->segment->close(handle);
	else if (class->semaphore)
		class->semaphore->close(handle);
	else
		class->queue->close(handle);
}

/* Tells whether status has something of the object that nobody else knows: one of `kept`. */
static bool has_news(const struct ipcfs_object *object)
{
	return object->queue.returned || object->queue.leases_returned || object->semaphore.deaths;
}

/* Gives back what users pay for the object. Call with the lock held, or at the end. */
static void drop_charges(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	struct ipcfs_charge *charge, *next;

	if (object->segment.charges) {
		DL_DELETE2(objects->charged, object, prev_charged, next_charged);
		objects->charged_count--;
	}
	LL_FOREACH_SAFE (object->segment.charges, charge, next) {
		ipcfs_quota_memory_freed(objects->quota, charge->uid,
					 charge->bytes + IPCFS_CHARGE_BYTES);
		free(charge);
	}
	object->segment.charges = NULL;
}

static void object_free(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	for (int i = 0; i < 2; i++)
		if (object->side[i].users)
			close_handle(object->class, object->side[i].handle);
	ipcfs_deliveries_free(&object->queue.deliveries, objects->quota);
	pthread_mutex_destroy(&object->queue.lock);
	pthread_mutex_destroy(&object->semaphore.lock);
	ipcfs_space_unref(object->space);
	if (objects->ledger)
		ipcfs_ledger_drop(objects->ledger, IPCFS_LEDGER_OBJECTS, object->number);
	ipcfs_table_free(&objects->numbers, object->number);
	free(object);
}

void ipcfs_object_save(struct ipcfs_objects *objects, const struct ipcfs_object *object)
{
	struct object_entry entry = {
		.key = object->ref.key,
		.serial = object->ref.serial,
		.generation = object->semaphore.generation,
		.returned = object->queue.returned,
		.leases_returned = object->queue.leases_returned,
		.deaths = object->semaphore.deaths,
		.counted = object->semaphore.counted,
		.last_death = object->semaphore.last_death,
		.last_dead = object->semaphore.last_dead,
		.removed = object->removed,
	};
	const struct iovec parts[] = {
		{ &entry, sizeof(entry) },
		{ (void *)(uintptr_t)object->ref.name, strlen(object->ref.name) + 1 },
	};

	if (!objects->ledger)
		return;
	entry.class = ipcfs_class_number(object->class);
	/* without memory the successor does not know the object: its files are stale then */
	(void)ipcfs_ledger_put(objects->ledger, IPCFS_LEDGER_OBJECTS, object->number, parts, 2);
}

void ipcfs_objects_destroy(struct ipcfs_objects *objects)
{
	struct ipcfs_object *object, *next;

	if (!objects->numbers.chunks)
		return;
	HASH_ITER (hh, objects->table, object, next) {
		if (object->references)
			(void)ipcfs_fault("object.left"); /* all nodes and files have gone */
		HASH_DEL(objects->table, object);
		drop_charges(objects, object);
		object_free(objects, object);
	}
	ipcfs_table_destroy(&objects->numbers);
	pthread_mutex_destroy(&objects->lock);
}

struct ipcfs_object *ipcfs_object_at(const struct ipcfs_objects *objects, uint32_t number)
{
	struct ipcfs_object *const *item = ipcfs_table_at(&objects->numbers, number);

	return item ? *item : NULL;
}

/* Call with the lock held. */
static void note_generation(struct ipcfs_objects *objects, uint64_t generation)
{
	if (generation > objects->generation)
		objects->generation = generation;
}

/*
 * Adds an object to the table. `number`: the one it had in a worker before; 0: a new one. NULL: no
 * memory. Call with the lock held.
 */
static struct ipcfs_object *object_add(struct ipcfs_objects *objects,
				       const struct ipcfs_object_key *id, struct ipcfs_space *space,
				       const struct ipcfs_ref *ref, uint32_t number)
{
	struct ipcfs_object *object = calloc(1, sizeof(*object)), **item;

	if (!object)
		return NULL;
	object->number = number;
	item = number ? ipcfs_table_restore(&objects->numbers, number, 0, 0)
		      : ipcfs_table_new(&objects->numbers, &object->number);
	if (!item) {
		free(object);
		return NULL;
	}
	object->id = *id;
	HASH_ADD(hh, objects->table, id, sizeof(object->id), object);
	if (!object->hh.tbl) {
		ipcfs_table_free(&objects->numbers, object->number);
		free(object);
		return NULL;
	}
	object->space = space;
	object->class = id->class;
	object->ref = *ref;
	object->semaphore.generation = objects->generation;
	pthread_mutex_init(&object->queue.lock, NULL);
	pthread_mutex_init(&object->semaphore.lock, NULL);
	ipcfs_space_ref(space);
	*item = object;
	return object;
}

/* Takes a reference, perhaps the first one to an object that is kept. Call with the lock held. */
static void take_reference(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	if (object->references == 0 && has_news(object))
		objects->kept--;
	object->references++;
}

struct ipcfs_object *ipcfs_object_get(struct ipcfs_objects *objects, struct ipcfs_space *space,
				      const struct ipcfs_class *class, const struct ipcfs_ref *ref)
{
	const struct ipcfs_object_key id = { space, class, ref->serial, ref->key };
	struct ipcfs_object *object;

	pthread_mutex_lock(&objects->lock);
	HASH_FIND(hh, objects->table, &id, sizeof(id), object);
	if (!object)
		object = object_add(objects, &id, space, ref, 0);
	if (object && !object->references)
		ipcfs_object_save(objects, object);
	if (object)
		take_reference(objects, object);
	pthread_mutex_unlock(&objects->lock);
	return object;
}

/* Makes an object anew. False: the entry makes no sense, or there is no memory. */
static bool restore(struct ipcfs_objects *objects, uint32_t number,
		    const struct object_entry *entry, size_t size, const struct ipcfs_view *view)
{
	struct ipcfs_ref ref = { .serial = entry->serial, .key = entry->key };
	struct ipcfs_object_key id = { .serial = entry->serial, .key = entry->key };
	struct ipcfs_object *object = NULL;
	struct ipcfs_space *space;

	if (size <= sizeof(*entry) || size - sizeof(*entry) > sizeof(ref.name) ||
	    entry->class > IPCFS_CLASSES_MAX || !ipcfs_class_at(entry->class))
		return false;
	id.class = ipcfs_class_at(entry->class);
	space = id.class->space ? NULL : ipcfs_view_space(view, id.class);
	id.space = space;
	memcpy(ref.name, entry + 1, size - sizeof(*entry));
	ref.name[size - sizeof(*entry) - 1] = '\0';
	if (space)
		object = object_add(objects, &id, space, &ref, number);
	if (!object)
		return false;
	object->references = 1;
	object->removed = entry->removed;
	object->queue.returned = entry->returned;
	object->queue.leases_returned = entry->leases_returned;
	object->semaphore.deaths = entry->deaths;
	object->semaphore.counted = entry->counted;
	object->semaphore.last_dead = entry->last_dead;
	object->semaphore.last_death = (time_t)entry->last_death;
	object->semaphore.generation = entry->generation;
	note_generation(objects, entry->generation);
	return true;
}

void ipcfs_objects_restore(struct ipcfs_objects *objects, const struct ipcfs_view *view)
{
	pthread_mutex_lock(&objects->lock);
	for (uint32_t i = 0;
	     (i = ipcfs_ledger_next(objects->ledger, IPCFS_LEDGER_OBJECTS, i)) != 0;) {
		size_t size;
		const struct object_entry *entry = ipcfs_ledger_at(objects->ledger,
								   IPCFS_LEDGER_OBJECTS, i, &size);

		if (!restore(objects, i, entry, size, view))
			ipcfs_ledger_drop(objects->ledger, IPCFS_LEDGER_OBJECTS, i);
	}
	pthread_mutex_unlock(&objects->lock);
}

void ipcfs_objects_restored(struct ipcfs_objects *objects)
{
	for (uint32_t i = 0;
	     (i = ipcfs_ledger_next(objects->ledger, IPCFS_LEDGER_OBJECTS, i)) != 0;)
		ipcfs_object_unref(objects, ipcfs_object_at(objects, i));
}

struct ipcfs_object *ipcfs_object_known(struct ipcfs_objects *objects, struct ipcfs_space *space,
					const struct ipcfs_class *class,
					const struct ipcfs_ref *ref)
{
	const struct ipcfs_object_key id = { space, class, ref->serial, ref->key };
	struct ipcfs_object *object;

	pthread_mutex_lock(&objects->lock);
	HASH_FIND(hh, objects->table, &id, sizeof(id), object);
	if (object)
		take_reference(objects, object);
	pthread_mutex_unlock(&objects->lock);
	return object;
}

void ipcfs_object_ref(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	pthread_mutex_lock(&objects->lock);
	object->references++;
	pthread_mutex_unlock(&objects->lock);
}

/* Takes an object out of the spares. The caller drops the spare's use. Call with the lock held. */
static void take_from_spares(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	DL_DELETE2(objects->spares, object, prev_spare, next_spare);
	objects->spare_count--;
	object->spare = false;
}

/*
 * Adds an object to the spares, which take over its last use of the handle. If there are too
 * many, returns the oldest, whose use the caller drops; otherwise NULL. Call with the lock held.
 */
static struct ipcfs_object *add_to_spares(struct ipcfs_objects *objects,
					  struct ipcfs_object *object)
{
	DL_APPEND2(objects->spares, object, prev_spare, next_spare);
	object->spare = true;
	if (++objects->spare_count <= SPARES_MAX)
		return NULL;
	object = objects->spares;
	take_from_spares(objects, object);
	return object;
}

/*
 * Ends the object's use of its handle as a spare, if it is one. Returns whether the handle is to be
 * closed, without the lock. Call with the lock held.
 */
static bool drop_spare(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	if (!object->spare)
		return false;
	take_from_spares(objects, object);
	return --object->side[IPCFS_SEND].users == 0;
}

void ipcfs_objects_note_generation(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	pthread_mutex_lock(&objects->lock);
	note_generation(objects, object->semaphore.generation);
	ipcfs_object_save(objects, object);
	pthread_mutex_unlock(&objects->lock);
}

/* Takes an object without references out of the table. Call with the lock held. */
static void take_out(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	HASH_DEL(objects->table, object);
	if (object->spare)
		take_from_spares(objects, object);
	drop_charges(objects, object);
	note_generation(objects, object->semaphore.generation);
}

/*
 * Tells whether an object without references is kept. Charges need no limit of their own: they
 * count for max_bytes. Where a namespace has ended, ipcfs_objects_ended may have been there
 * already. Call with the lock held.
 */
static bool is_worth_keeping(const struct ipcfs_objects *objects, const struct ipcfs_object *object)
{
	if (object->removed || ipcfs_space_has_ended(object->space))
		return false;
	return object->segment.charges || (has_news(object) && objects->kept < KEPT_MAX);
}

void ipcfs_object_unref(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	const struct ipcfs_class *class;
	bool last, unused = false;
	int handle;

	if (!object)
		return;
	pthread_mutex_lock(&objects->lock);
	class = object->class;
	handle = object->side[IPCFS_SEND].handle;
	last = --object->references == 0;
	if (last && is_worth_keeping(objects, object)) {
		objects->kept += has_news(object);
		/* what is kept is not in use: a semaphore may be removed by others */
		unused = drop_spare(objects, object);
		last = false;
	}
	if (last)
		take_out(objects, object);
	pthread_mutex_unlock(&objects->lock);
	if (last)
		object_free(objects, object);
	else if (unused)
		close_handle(class, handle);
}

void ipcfs_object_removed(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	bool unused;
	int handle;

	pthread_mutex_lock(&objects->lock);
	handle = object->side[IPCFS_SEND].handle;
	object->removed = true;
	unused = drop_spare(objects, object);
	ipcfs_object_save(objects, object);
	pthread_mutex_unlock(&objects->lock);
	if (unused)
		close_handle(object->class, handle);
}

int ipcfs_object_open(struct ipcfs_objects *objects, struct ipcfs_object *object,
		      enum ipcfs_direction direction, int *handle)
{
	int fresh, err;
	bool spare;

	pthread_mutex_lock(&objects->lock);
	if (object->side[direction].users) {
		object->side[direction].users++;
		*handle = object->side[direction].handle;
		pthread_mutex_unlock(&objects->lock);
		return 0;
	}
	pthread_mutex_unlock(&objects->lock);

	err = open_handle(object, direction, &fresh);
	if (err)
		return err;

	pthread_mutex_lock(&objects->lock);
	spare = object->side[direction].users > 0; /* another thread has opened it meanwhile */
	if (!spare)
		object->side[direction].handle = fresh;
	object->side[direction].users++;
	*handle = object->side[direction].handle;
	pthread_mutex_unlock(&objects->lock);
	if (spare)
		close_handle(object->class, fresh);
	return 0;
}

void ipcfs_object_close(struct ipcfs_objects *objects, struct ipcfs_object *object,
			enum ipcfs_direction direction)
{
	const struct ipcfs_class *class = object->class;
	int handle = -1;
	bool last;

	pthread_mutex_lock(&objects->lock);
	if (class->semaphore && !object->removed && !object->spare &&
	    object->side[direction].users == 1 && !ipcfs_space_has_ended(object->space))
		object = add_to_spares(objects, object);
	last = object && --object->side[direction].users == 0;
	if (last) {
		/* the object may be an older spare, which can be freed once the lock is released */
		class = object->class;
		handle = object->side[direction].handle;
	}
	pthread_mutex_unlock(&objects->lock);
	if (last)
		close_handle(class, handle);
}

int ipcfs_object_perm(const struct ipcfs_object *object, int handle, struct ipcfs_perm *perm)
{
	const struct ipcfs_class *class = object->class;
	struct ipcfs_info info;
	int err;

	if (class->queue)
		return class->queue->perm(handle, perm);
	if (class->semaphore)
		return class->semaphore->perm(handle, perm);
	err = class->segment->fstat(handle, &info);
	if (!err)
		*perm = info.perm;
	return err;
}

int ipcfs_object_fstat(struct ipcfs_objects *objects, struct ipcfs_object *object,
		       struct ipcfs_info *info)
{
	int direction = IPCFS_RECEIVE, handle, err;

	pthread_mutex_lock(&objects->lock);
	if (!object->side[direction].users)
		direction = IPCFS_SEND;
	err = object->side[direction].users ? 0 : -ENOENT;
	if (!err)
		object->side[direction].users++; /* so that no other thread closes it meanwhile */
	handle = object->side[direction].handle;
	pthread_mutex_unlock(&objects->lock);
	if (err)
		return err;
	err = object->class->segment->fstat(handle, info);
	ipcfs_object_close(objects, object, direction);
	return err;
}

const struct ipcfs_space *ipcfs_object_enter(const struct ipcfs_object *object)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };
	const struct ipcfs_space *before;

	/* in another namespace the call would be made on another object */
	while (ipcfs_space_enter(object->class->bound ? object->space : NULL, &before))
		(void)nanosleep(&moment, NULL);
	return before;
}

/*
 * Takes an object of this space that has no references out of the table and the spares. NULL:
 * there is none. Call with the lock held.
 */
static struct ipcfs_object *take_kept(struct ipcfs_objects *objects,
				      const struct ipcfs_space *space)
{
	struct ipcfs_object *object, *next;

	HASH_ITER (hh, objects->table, object, next) {
		if (object->space != space || object->references)
			continue;
		take_out(objects, object);
		objects->kept -= has_news(object);
		return object;
	}
	return NULL;
}

/* Closes the spare handles of objects of this space. */
static void close_spares(struct ipcfs_objects *objects, const struct ipcfs_space *space)
{
	const struct ipcfs_class *class = NULL;
	struct ipcfs_object *object;
	int handle = -1;
	bool last;

	do {
		last = false;
		pthread_mutex_lock(&objects->lock);
		DL_SEARCH_SCALAR2(objects->spares, object, space, space, next_spare);
		if (object) {
			take_from_spares(objects, object);
			class = object->class;
			handle = object->side[IPCFS_SEND].handle;
			last = --object->side[IPCFS_SEND].users == 0;
		}
		pthread_mutex_unlock(&objects->lock);
		if (last)
			close_handle(class, handle);
	} while (object);
}

void ipcfs_objects_ended(struct ipcfs_objects *objects, const struct ipcfs_space *space)
{
	struct ipcfs_object *object;

	close_spares(objects, space);
	do {
		pthread_mutex_lock(&objects->lock);
		object = take_kept(objects, space);
		pthread_mutex_unlock(&objects->lock);
		if (object)
			object_free(objects, object);
	} while (object);
}
