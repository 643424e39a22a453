/* SPDX-License-Identifier: MIT */
/*
 * The objects that anything in the mount refers to: nodes, open files, waiters. There is one struct
 * for one object, however many names lead to it; it goes with its last reference.
 */
#ifndef IPCFS_OBJECT_H
#define IPCFS_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>

#include "../backends/backend.h"
#include "hash.h"

struct ipcfs_line;
struct ipcfs_hold;

struct ipcfs_object_key {
	const struct ipcfs_space *space;
	const struct ipcfs_backend *class;
	uint64_t serial;
	uint64_t key;
};

struct ipcfs_object {
	struct ipcfs_object_key id;
	struct ipcfs_space *space; /* a reference */
	const struct ipcfs_backend *class;
	struct ipcfs_ref ref;
	unsigned references; /* guarded by the table's lock, as `side` is */
	struct {
		unsigned users; /* the handle is open while there are any */
		int handle;
	} side[2]; /* by enum ipcfs_direction */
	struct {
		unsigned users; /* open files that the kernel reads and writes in our place */
		int id;
	} backing; /* guarded as well */

	struct ipcfs_object *next_spare, *prev_spare; /* guarded by the table's lock */
	bool spare; /* among the spare ones, which counts as one user */

	pthread_mutex_t holds_lock;
	struct ipcfs_hold *holds; /* of semaphores, the newest first; guarded by holds_lock */
	_Atomic uint64_t
		returned; /* messages put back at the tail; status tells for as long as it exists */
	bool removed;	  /* through the mount: nothing to remember it for */
	_Atomic size_t room;	    /* bytes that the longest message so far took */
	struct ipcfs_line *lines;   /* guarded by the waiting room's lock */
	_Atomic unsigned parked[2]; /* requests parked, by direction */
	_Atomic unsigned pollers;
	UT_hash_handle hh;
};

struct ipcfs_objects {
	pthread_mutex_t lock;
	struct ipcfs_object *table;
	unsigned kept; /* without references, for what status tells of them */
	struct ipcfs_object
		*spares; /* semaphores that nobody uses, with open handles; oldest first */
	unsigned spare_count;
};

void ipcfs_objects_init(struct ipcfs_objects *objects);
void ipcfs_objects_destroy(struct ipcfs_objects *objects);

/* The object that ref names in this space, with a reference for the caller. NULL: no memory. */
struct ipcfs_object *ipcfs_object_get(struct ipcfs_objects *objects, struct ipcfs_space *space,
				      const struct ipcfs_backend *class,
				      const struct ipcfs_ref *ref);
void ipcfs_object_hold(struct ipcfs_objects *objects, struct ipcfs_object *object);
void ipcfs_object_put(struct ipcfs_objects *objects, struct ipcfs_object *object);

/* It was removed: once nobody refers to it there is nothing to keep. */
void ipcfs_object_removed(struct ipcfs_objects *objects, struct ipcfs_object *object);

/*
 * Open the queue or segment for one direction, reading or writing, a semaphore (IPCFS_SEND, always),
 * or find it open: *handle is good until the matching ipcfs_object_close. Semaphores stay open for a
 * while, since a lock is taken again and again. What the backend's open returns.
 */
int ipcfs_object_open(struct ipcfs_objects *objects, struct ipcfs_object *object,
		      enum ipcfs_direction direction, int *handle);
void ipcfs_object_close(struct ipcfs_objects *objects, struct ipcfs_object *object,
			enum ipcfs_direction direction);

/*
 * Look at a segment by a handle that is open: it may have lost its name. What the backend's look
 * says; -ENOENT: none is open.
 */
int ipcfs_object_look(struct ipcfs_objects *objects, struct ipcfs_object *object,
		      struct ipcfs_info *info);

/*
 * Let this thread act where calls on the object are to be made, until ipcfs_space_leave with what this
 * returns. For threads that handle no request of the object's: those are there already (visit.h).
 */
const struct ipcfs_space *ipcfs_object_enter(const struct ipcfs_object *object);

/*
 * The space has ended: keep nothing that refers to it, but for what nodes and open files do. Not to be
 * called by who holds a reference to one of its objects.
 */
void ipcfs_objects_ended(struct ipcfs_objects *objects, const struct ipcfs_space *space);

#endif
