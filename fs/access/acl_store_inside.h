/* SPDX-License-Identifier: MIT */
/* The store from inside: for acl_store.c and acl_store_sweep.c only. */
#ifndef IPCFS_ACL_STORE_INSIDE_H
#define IPCFS_ACL_STORE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/access/acl_dir.h"
#include "fs/access/acl_share.h"
#include "fs/base/hash.h"

/* Has no padding, as it is hashed. */
struct ipcfs_acl_key {
	uint64_t class, serial, key;
};

struct ipcfs_acl_item {
	struct ipcfs_acl_key key;
	struct ipcfs_acl_record record; /* empty while the item is being added */
	struct ipcfs_acl_place place;	/* slot 0: in memory only */
	uid_t payer;			/* the object's owner, when the list was set */
	uint64_t generation;		/* changes with each set */
	UT_hash_handle hh;
};

enum ipcfs_acl_state {
	IPCFS_ACL_MEMORY,  /* lists are kept in memory only */
	IPCFS_ACL_OWNED,   /* and in the directory, which is locked */
	IPCFS_ACL_FOREIGN, /* another daemon has the directory; there are no lists */
};

/*
 * Items are changed with both locks held, and read with either. `writers` also guards the state and
 * the directory. It is taken first, and held while a file is written. No lock is held while a
 * backend is asked about an object, except while the directory is loaded, when there are no lists
 * yet.
 */
struct ipcfs_acl_store {
	const struct ipcfs_space *space;
	pthread_mutex_t writers;
	bool warned_of_memory; /* at the first list that is kept in memory only */
	struct ipcfs_acl_dir dir;
	enum ipcfs_acl_state state;
	uint64_t generation;
	size_t entries; /* in all lists */
	struct ipcfs_acl_share *shares;

	pthread_mutex_t lock;
	pthread_cond_t wake; /* there is a first list, or the thread has to end */
	struct ipcfs_acl_item *items;
	_Atomic size_t count; /* of items; changed with `lock` held */
	bool started;	      /* there may be a thread, once it has something to do */
	bool running;
	bool told; /* the log says that another daemon keeps the lists; the thread alone */
	atomic_bool stopping; /* changed with `lock` held */
	pthread_t sweeper;
};

/* Returns the item of this key, or NULL. Call with one of the locks held. */
struct ipcfs_acl_item *ipcfs_acl_store_find(const struct ipcfs_acl_store *store,
					    const struct ipcfs_acl_key *key);

/*
 * Removes a list, if there is one, and its record. Call with store->writers held. -EIO: the record
 * can't be removed, so the list stays.
 */
int ipcfs_acl_store_drop(struct ipcfs_acl_store *store, const struct ipcfs_acl_key *key);

/*
 * Locks the directory and loads its lists, if no other daemon uses it, and sets the state. Call
 * with store->writers held, and an open directory. -ENOMEM: the state is IPCFS_ACL_FOREIGN.
 */
int ipcfs_acl_store_take_over(struct ipcfs_acl_store *store);

bool ipcfs_acl_same_time(const struct timespec *a, const struct timespec *b);

/*
 * Makes the thread, if ipcfs_acl_store_start was called and there is none. Call with store->writers
 * held. A negative errno: there is none.
 */
int ipcfs_acl_store_start_thread(struct ipcfs_acl_store *store);

/* Ends the thread. False: there was none. */
bool ipcfs_acl_store_stop_thread(struct ipcfs_acl_store *store);

#endif
