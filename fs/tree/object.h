/* SPDX-License-Identifier: MIT */
/*
 * The objects that nodes, open files and waiters refer to. An object has one struct, however
 * many names lead to it. The struct is freed with its last reference, unless it is kept for what
 * its status tells, or for what users pay for its memory (charges.h).
 */
#ifndef IPCFS_OBJECT_H
#define IPCFS_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/contract/contract.h"
#include "fs/base/hash.h"
#include "fs/base/ledger.h"
#include "fs/base/table.h"
#include "fs/tree/deliveries.h"

struct ipcfs_waitqueue;
struct ipcfs_hold;
struct ipcfs_lease;
struct ipcfs_lock;

/* Identifies an object; compared as bytes. */
struct ipcfs_object_key {
	const struct ipcfs_space *space;
	const struct ipcfs_class *class;
	uint64_t serial;
	uint64_t key;
};

#define IPCFS_CHARGE_BYTES 1024 /* of a charge, and of the object that is kept for it */

/* What a user pays for memory that the object has (charges.h). Guarded by the lock of all objects. */
struct ipcfs_charge {
	uid_t uid;
	uint64_t bytes;	   /* with those that requests may still make */
	uint64_t pending;  /* bytes of these requests */
	unsigned requests; /* that may make memory now */
	struct ipcfs_charge *next;
};

struct ipcfs_object {
	struct ipcfs_object_key id;
	uint32_t number;	   /* in ipcfs_objects.numbers, from 1 on */
	struct ipcfs_space *space; /* a reference */
	const struct ipcfs_class *class;
	struct ipcfs_ref ref;

	/* Guarded by the lock of struct ipcfs_objects. */
	unsigned references;
	struct {
		unsigned users; /* the handle is open as long as there are users */
		int handle;
	} side[2];					  /* index: enum ipcfs_direction */
	struct ipcfs_object *next_spare, *prev_spare;	  /* links of ipcfs_objects.spares */
	struct ipcfs_object *next_charged, *prev_charged; /* links of ipcfs_objects.charged */
	bool spare;   /* in that list, and so one user of the handle */
	bool removed; /* removed through the mount: freed with its last reference */

	struct {
		_Atomic uint64_t returned; /* messages given back to the queue; status shows it */
		_Atomic size_t
			largest_message; /* bytes of capacity that the longest message needed */
		pthread_mutex_t lock;
		struct ipcfs_deliveries deliveries; /* guarded by this lock */
		struct ipcfs_lease *leases;	    /* the oldest first; guarded by this lock */
		_Atomic uint64_t leases_returned;   /* leases that ended without `done` or `dead` */
	} queue;
	struct {
		unsigned users; /* open files that use the backing file; guarded by the same lock */
		int id;		/* the kernel's id of the backing file; guarded by the same lock */
	} backing;
	struct {
		struct ipcfs_lock *locks;     /* on `data`; guarded by segment/lock.c */
		struct ipcfs_charge *charges; /* of its memory; guarded by the same lock */
	} segment;
	struct {
		pthread_mutex_t lock;
		struct ipcfs_hold *holds; /* the newest first; guarded by this lock */
		/* changed with this lock held */
		_Atomic uint64_t generation; /* of the newest hold */
		_Atomic uint64_t deaths;     /* holds whose holder was killed; status shows it */
		_Atomic pid_t last_dead;     /* the last such holder */
		_Atomic time_t last_death;   /* and when */
		_Atomic uint64_t counted;    /* the generation of the last such hold */
	} semaphore;
	struct {
		struct ipcfs_waitqueue *queues; /* guarded by the lock of struct ipcfs_waits */
		_Atomic unsigned parked[2];	/* parked requests; index: enum ipcfs_direction */
		_Atomic unsigned pollers;	/* open files that poll the object */
	} waits;
	UT_hash_handle hh;
};

/* All objects of a mount. */
struct ipcfs_objects {
	pthread_mutex_t lock;
	struct ipcfs_object *table; /* by ipcfs_object.id */
	struct ipcfs_table numbers; /* of struct ipcfs_object *; index: ipcfs_object.number */
	unsigned kept;		    /* objects without references, kept for what status shows */
	uint64_t generation;	    /* no less than that of any object */
	/* borrowed; for deliveries and charges; NULL: nobody is charged for deliveries */
	struct ipcfs_quota *quota;
	struct ipcfs_object
		*spares; /* semaphores that are not in use but still open; oldest first */
	unsigned spare_count;
	struct ipcfs_object *charged; /* those whose memory users pay for */
	unsigned charged_count;
	struct ipcfs_ledger *ledger; /* not owned; NULL: no worker comes after this one */
};

/* Makes an empty table. Free it with ipcfs_objects_destroy. -ENOMEM. */
int ipcfs_objects_init(struct ipcfs_objects *objects);
void ipcfs_objects_destroy(struct ipcfs_objects *objects);

/*
 * Return the number of a class, from 1 on, and the class of a number. NULL has the number 0.
 * The numbers are the same after a restart.
 */
uint32_t ipcfs_class_number(const struct ipcfs_class *class);
const struct ipcfs_class *ipcfs_class_at(uint32_t number);

struct ipcfs_view;

/*
 * Makes anew the objects that a worker before has left in the ledger, each with a reference for the
 * caller: see ipcfs_objects_restored. They belong to `view`. Drops entries that make no sense, and
 * those of classes without a namespace.
 */
void ipcfs_objects_restore(struct ipcfs_objects *objects, const struct ipcfs_view *view);

/* Adds the layout of an object in the ledger to a hash: see layout.h. */
uint64_t ipcfs_object_layout(uint64_t hash);

/* Drops the references of ipcfs_objects_restore. */
void ipcfs_objects_restored(struct ipcfs_objects *objects);

/* Writes an object to the ledger, as it is now. */
void ipcfs_object_save(struct ipcfs_objects *objects, const struct ipcfs_object *object);

/*
 * Returns the object of this number. A reference that outlives the use must exist: the node's,
 * the open file's, or the caller's. NULL: the number is 0.
 */
struct ipcfs_object *ipcfs_object_at(const struct ipcfs_objects *objects, uint32_t number);

/*
 * Notes the generation of an object, and its killed holders. Objects that are made later begin with
 * no less, also one that gets the name of a removed object whose files are still open.
 */
void ipcfs_objects_note_generation(struct ipcfs_objects *objects, struct ipcfs_object *object);

/* Returns the object of `ref` in this space, with a reference for the caller. NULL: no memory. */
struct ipcfs_object *ipcfs_object_get(struct ipcfs_objects *objects, struct ipcfs_space *space,
				      const struct ipcfs_class *class, const struct ipcfs_ref *ref);

/*
 * Returns the object of `ref` if the daemon has it already, with a reference for the caller. NULL:
 * nothing of the mount uses the object.
 */
struct ipcfs_object *ipcfs_object_known(struct ipcfs_objects *objects, struct ipcfs_space *space,
					const struct ipcfs_class *class,
					const struct ipcfs_ref *ref);

/* Add and drop a reference. NULL can be dropped. */
void ipcfs_object_ref(struct ipcfs_objects *objects, struct ipcfs_object *object);
void ipcfs_object_unref(struct ipcfs_objects *objects, struct ipcfs_object *object);

/* Notes that the object was removed. A spare handle is closed, and the object is not kept. */
void ipcfs_object_removed(struct ipcfs_objects *objects, struct ipcfs_object *object);

/*
 * Opens an object, or finds it open: a queue or a segment for one direction, a semaphore
 * always for IPCFS_SEND. *handle is good until the matching ipcfs_object_close. A semaphore stays
 * open after its last close as a spare, because programs use the same semaphore again and again.
 * The errors of the class's open.
 */
int ipcfs_object_open(struct ipcfs_objects *objects, struct ipcfs_object *object,
		      enum ipcfs_direction direction, int *handle);
void ipcfs_object_close(struct ipcfs_objects *objects, struct ipcfs_object *object,
			enum ipcfs_direction direction);

/*
 * Sets *perm by an open handle of the object, in the cheapest way.
 * -EIDRM: the object was removed.
 */
int ipcfs_object_perm(const struct ipcfs_object *object, int handle, struct ipcfs_perm *perm);

/*
 * Fills *info by an open handle of a segment: the segment may have no name any more.
 * -ENOENT: no handle is open.
 * The errors of segment->fstat.
 */
int ipcfs_object_fstat(struct ipcfs_objects *objects, struct ipcfs_object *object,
		       struct ipcfs_info *info);

/*
 * Moves this thread to the IPC namespace in which calls on the object have to be made. Call
 * ipcfs_space_leave afterwards with what this returns. Tries again until it succeeds. A thread that
 * handles a request on the object is there already (ns_entry.h).
 */
const struct ipcfs_space *ipcfs_object_enter(const struct ipcfs_object *object);

/*
 * Frees the objects of a space that has ended, and closes their spare handles. Objects with
 * references stay. Must not be called with a reference to one of these objects: a later unref may
 * keep it.
 */
void ipcfs_objects_ended(struct ipcfs_objects *objects, const struct ipcfs_space *space);

#endif
