/* SPDX-License-Identifier: MIT */
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#define SPARES_MAX 64
#define KEPT_MAX 4096 /* so that queues removed behind our back cost no more than that */

void ipcfs_objects_init(struct ipcfs_objects *objects)
{
	*objects = (struct ipcfs_objects){ 0 };
	pthread_mutex_init(&objects->lock, NULL);
}

static int open_handle(const struct ipcfs_object *object, enum ipcfs_direction direction,
		       int *handle)
{
	const struct ipcfs_backend *class = object->class;

	if (class->segment)
		return class->segment->open(object->space, &object->ref, direction == IPCFS_SEND,
					    handle);
	if (class->semaphore)
		return class->semaphore->open(object->space, &object->ref, handle);
	return class->queue->open(object->space, &object->ref, direction, handle);
}

static void close_handle(const struct ipcfs_backend *class, int handle)
{
	if (class->segment)
		class->segment->close(handle);
	else if (class->semaphore)
		class->semaphore->close(handle);
	else
		class->queue->close(handle);
}

static void object_free(struct ipcfs_object *object)
{
	for (int i = 0; i < 2; i++)
		if (object->side[i].users)
			close_handle(object->class, object->side[i].handle);
	pthread_mutex_destroy(&object->holds_lock);
	ipcfs_space_put(object->space);
	free(object);
}

void ipcfs_objects_destroy(struct ipcfs_objects *objects)
{
	struct ipcfs_object *object, *next;

	HASH_ITER (hh, objects->table, object, next) {
		HASH_DEL(objects->table, object);
		object_free(object);
	}
	pthread_mutex_destroy(&objects->lock);
}

struct ipcfs_object *ipcfs_object_get(struct ipcfs_objects *objects, struct ipcfs_space *space,
				      const struct ipcfs_backend *class,
				      const struct ipcfs_ref *ref)
{
	struct ipcfs_object_key id = { space, class, ref->serial, ref->key };
	struct ipcfs_object *object;

	pthread_mutex_lock(&objects->lock);
	HASH_FIND(hh, objects->table, &id, sizeof(id), object);
	if (!object) {
		object = calloc(1, sizeof(*object));
		if (object) {
			object->id = id;
			object->space = space;
			object->class = class;
			object->ref = *ref;
			pthread_mutex_init(&object->holds_lock, NULL);
			HASH_ADD(hh, objects->table, id, sizeof(id), object);
			if (!object->hh.tbl) {
				pthread_mutex_destroy(&object->holds_lock);
				free(object);
				object = NULL;
			} else {
				ipcfs_space_hold(space);
			}
		}
	}
	if (object) {
		if (object->references == 0 && object->returned)
			objects->kept--;
		object->references++;
	}
	pthread_mutex_unlock(&objects->lock);
	return object;
}

void ipcfs_object_hold(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	pthread_mutex_lock(&objects->lock);
	object->references++;
	pthread_mutex_unlock(&objects->lock);
}

/* Called with the lock held. The use is the caller's then. */
static void take_from_spares(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	DL_DELETE2(objects->spares, object, prev_spare, next_spare);
	objects->spare_count--;
	object->spare = false;
}

/* Called with the lock held. The last use becomes a spare one; of too many, returns one to be closed. */
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

void ipcfs_object_put(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	bool last;

	if (!object)
		return;
	pthread_mutex_lock(&objects->lock);
	last = --object->references == 0;
	if (last && object->returned && !object->removed && objects->kept < KEPT_MAX) {
		objects->kept++;
		last = false;
	}
	if (last) {
		HASH_DEL(objects->table, object);
		if (object->spare)
			take_from_spares(objects, object);
	}
	pthread_mutex_unlock(&objects->lock);
	if (last)
		object_free(object);
}

void ipcfs_object_removed(struct ipcfs_objects *objects, struct ipcfs_object *object)
{
	bool last = false;
	int handle;

	pthread_mutex_lock(&objects->lock);
	handle = object->side[IPCFS_SEND].handle;
	object->removed = true;
	if (object->spare) {
		take_from_spares(objects, object);
		last = --object->side[IPCFS_SEND].users == 0;
	}
	pthread_mutex_unlock(&objects->lock);
	if (last)
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
	spare = object->side[direction].users > 0; /* somebody was faster */
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
	const struct ipcfs_backend *class = object->class;
	int handle = -1;
	bool last;

	pthread_mutex_lock(&objects->lock);
	if (class->semaphore && !object->removed && !object->spare &&
	    object->side[direction].users == 1 && !ipcfs_space_has_ended(object->space))
		object = add_to_spares(objects, object);
	last = object && --object->side[direction].users == 0;
	if (last) {
		class = object->class; /* it may be another one, which is not ours to keep */
		handle = object->side[direction].handle;
	}
	pthread_mutex_unlock(&objects->lock);
	if (last)
		close_handle(class, handle);
}

int ipcfs_object_look(struct ipcfs_objects *objects, struct ipcfs_object *object,
		      struct ipcfs_info *info)
{
	int direction = IPCFS_RECEIVE, handle, err;

	pthread_mutex_lock(&objects->lock);
	if (!object->side[direction].users)
		direction = IPCFS_SEND;
	err = object->side[direction].users ? 0 : -ENOENT;
	if (!err)
		object->side[direction].users++; /* it is not closed meanwhile */
	handle = object->side[direction].handle;
	pthread_mutex_unlock(&objects->lock);
	if (err)
		return err;
	err = object->class->segment->look(handle, info);
	ipcfs_object_close(objects, object, direction);
	return err;
}

const struct ipcfs_space *ipcfs_object_enter(const struct ipcfs_object *object)
{
	const struct timespec moment = { .tv_nsec = 1000 * 1000 };
	const struct ipcfs_space *before;

	/* Anywhere else it would be done to another's object. */
	while (ipcfs_space_enter(object->class->bound ? object->space : NULL, &before))
		(void)nanosleep(&moment, NULL);
	return before;
}

/* Called with the lock held. One that is kept for this space alone, out of all lists; NULL: there is none. */
static struct ipcfs_object *take_kept(struct ipcfs_objects *objects,
				      const struct ipcfs_space *space)
{
	struct ipcfs_object *object, *next;

	HASH_ITER (hh, objects->table, object, next) {
		if (object->space != space || object->references)
			continue;
		HASH_DEL(objects->table, object);
		if (object->spare)
			take_from_spares(objects, object);
		objects->kept--;
		return object;
	}
	return NULL;
}

/* The handles that are open for nobody, of objects that the kernel still knows. */
static void close_spares(struct ipcfs_objects *objects, const struct ipcfs_space *space)
{
	const struct ipcfs_backend *class = NULL;
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
			object_free(object);
	} while (object);
}
