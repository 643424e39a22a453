/* SPDX-License-Identifier: MIT */
/*
 * The table of the objects that a feed knows, and that of the names of those that have a trail
 * (contract/trail.h). Pure; the caller locks.
 */
#ifndef IPCFS_KNOWN_TABLE_H
#define IPCFS_KNOWN_TABLE_H

#include "fs/base/hash.h"
#include "fs/events/event.h"

#define IPCFS_KNOWN_MAX 65536 /* objects; more are not known, and the looks tell nothing of them */
#define IPCFS_KNOWN_KEPT 3    /* looks for which an object that has gone stays */

/* Identifies an object; compared as bytes. */
struct ipcfs_known_key {
	const struct ipcfs_class *class;
	uint64_t serial;
	uint64_t key;
};

struct ipcfs_known_name;

struct ipcfs_known_object {
	struct ipcfs_known_key id;
	struct ipcfs_known_name
		*named; /* its name, which leads to it; NULL: it has gone, or no trail */
	struct ipcfs_perm perm;
	uint64_t max_bytes, size;
	bool full, empty, stale;
	bool fresh;    /* the state above was not seen yet, but for the owner and the mode */
	bool untold;   /* a look has found it, and not yet told of it */
	bool gone;     /* that it was removed is told */
	bool hinted;   /* the trail says that a direct caller has changed it since the last look */
	uint32_t seen; /* the last look that saw it */
	uint32_t touched; /* the look in which the mount or the trail told of it; 0: none */
	UT_hash_handle hh;
	char name[];
};

/* A name of a class with a trail. */
struct ipcfs_known_name {
	struct ipcfs_known_object *object; /* which has this name; NULL: none, as far as is told */
	unsigned owed_made, owed_removed;  /* records to come of what is told already */
	bool passing;	  /* the trail says that it was made, but there was no object already */
	bool changed;	  /* while it is `passing` */
	uint32_t touched; /* the look in which one of the four above was set */
	uint32_t unsure;  /* the last look that saw an object that is not known */
	UT_hash_handle hh;
	const struct ipcfs_class *class; /* with the name the key */
	char name[];
};

struct ipcfs_known {
	struct ipcfs_known_object *objects;
	struct ipcfs_known_name *names;
	bool filled;	    /* the first look has ended */
	bool trailed;	    /* there is a trail */
	bool behind;	    /* it has records that were not taken yet */
	uint32_t look;	    /* the number of the look that goes on, or was last */
	uint64_t left_out;  /* objects of this look that are not known */
	uint64_t left_last; /* and of the look before */
	uint64_t untold;    /* records of this look for which there was no memory */

	size_t bytes; /* of both tables */
	size_t room;  /* bytes that are paid for; without `grow` there is no limit */
	/* Has `more` bytes paid for, and sets `room`. Returns false if nobody can. */
	bool (*grow)(void *arg, size_t more);
	void *arg;
	bool refused; /* it returned false in this look, and is not called again */
};

/*
 * Is told of what was found. `info` has ref and perm, but of an object that was gone before anybody
 * could look only the name, and a perm.uid of -1. `detail` is a static word.
 */
struct ipcfs_finding {
	void (*found)(void *arg, enum ipcfs_event_kind kind, const struct ipcfs_class *class,
		      const struct ipcfs_info *info, const char *detail);
	void *arg;
};

/* Forgets everything: the next look is the first one again. */
void ipcfs_known_free(struct ipcfs_known *known);

/* Returns whether the first look goes on, or comes. */
static inline bool ipcfs_known_is_first(const struct ipcfs_known *known)
{
	return !known->filled;
}

/* Returns whether a trail tells of the objects of the class. */
static inline bool ipcfs_known_has_trail(const struct ipcfs_known *known,
					 const struct ipcfs_class *class)
{
	return known->trailed && class->trail;
}

/* Returns the object, which may have gone. NULL: it is not known. */
struct ipcfs_known_object *ipcfs_known_find(const struct ipcfs_known *known,
					    const struct ipcfs_class *class,
					    const struct ipcfs_ref *ref);

/* Adds an object. NULL: there is no memory, or there are too many. */
struct ipcfs_known_object *ipcfs_known_add(struct ipcfs_known *known,
					   const struct ipcfs_class *class,
					   const struct ipcfs_info *info);

/* Notes that the object was removed. It stays for IPCFS_KNOWN_KEPT looks. */
void ipcfs_known_retire(struct ipcfs_known *known, struct ipcfs_known_object *object);

/* Notes that an object that has gone is there all the same, or again. */
void ipcfs_known_revive(struct ipcfs_known *known, struct ipcfs_known_object *object);

void ipcfs_known_drop(struct ipcfs_known *known, struct ipcfs_known_object *object);

/* Tells of a known object. */
void ipcfs_known_tell(const struct ipcfs_known_object *object, enum ipcfs_event_kind kind,
		      const char *detail, const struct ipcfs_finding *finding);

/* Return the name, and add it where it is missing. NULL: there is none; there is no memory. */
struct ipcfs_known_name *ipcfs_known_name(const struct ipcfs_known *known,
					  const struct ipcfs_class *class, const char *name);
struct ipcfs_known_name *ipcfs_known_name_add(struct ipcfs_known *known,
					      const struct ipcfs_class *class, const char *name);

/* If the name is `passing`, tells that an object was made and removed. Returns whether it was. */
bool ipcfs_known_name_pass(struct ipcfs_known_name *name, const struct ipcfs_finding *finding);

/* Forgets the names that mean nothing any more. For the beginning of a look. */
void ipcfs_known_names_expire(struct ipcfs_known *known);

#endif
