/* SPDX-License-Identifier: MIT */
/* The registry from inside: for the files of this room only. */
#ifndef IPCFS_REGISTRY_INSIDE_H
#define IPCFS_REGISTRY_INSIDE_H

#include <pthread.h>

#include "fs/base/hash.h"
#include "fs/base/table.h"
#include "fs/namespaces/process_scan.h"
#include "fs/namespaces/registry.h"

/* An IPC namespace. Freed with its space. */
struct ipcfs_namespace {
	uint64_t inode;
	struct ipcfs_space *space;
	struct ipcfs_acl_store *acls;
	_Atomic uint64_t moves[IPCFS_CLASSES_MAX + 1][IPCFS_MOVES]; /* by the class's number */
	struct ipcfs_view *views;	  /* guarded by the registry's lock, as is the next */
	const struct ipcfs_view *current; /* the view to which its name led last; NULL: none */
	_Atomic pid_t member_pid;	  /* a process that was in it */
	_Atomic pid_t oldest_pid;	  /* the process whose /dev/shm others see; 0: not known */
	unsigned missed;		  /* scans of the watcher that found no process in it */
	UT_hash_handle hh;
};

/* A /dev/shm that some view has. */
struct ipcfs_shm {
	struct ipcfs_shm_id shm_id;
	struct ipcfs_space *space; /* of the views, without a reference */
	unsigned views;
	UT_hash_handle hh;
};

struct ipcfs_registry {
	bool all;
	const char *state; /* borrowed */
	struct ipcfs_registry_hooks hooks;
	struct ipcfs_view *home;  /* a reference */
	struct ipcfs_table views; /* of struct ipcfs_view *, by number */
	struct ipcfs_process_scan *scan;

	pthread_mutex_t lock;		    /* guards what follows, and views */
	struct ipcfs_namespace *namespaces; /* each with a reference to its space */
	struct ipcfs_shm *shms;
	struct ipcfs_view *stale; /* each with a reference */
	pthread_cond_t wake;	  /* of the watcher */
	pthread_t watcher;
	bool running, stopping;
};

/*
 * Returns the namespace with this inode number and a reference to its space, or NULL. Call with
 * registry->lock held.
 */
struct ipcfs_namespace *ipcfs_registry_known(const struct ipcfs_registry *registry, uint64_t inode);

/*
 * Finds the namespace with this inode number, or adds that of the thread. *found comes with a
 * reference to its space.
 *   -ENOENT: the thread is not in that namespace.
 *   Errors of ipcfs_space_open_of, and of hooks->began.
 */
int ipcfs_registry_get_namespace(struct ipcfs_registry *registry, uint64_t inode, pid_t tid,
				 struct ipcfs_namespace **found);

/*
 * Finds or makes the view of this namespace with that /dev/shm. *found is a reference.
 *   -EDQUOT: the uid has too many views of this namespace.
 *   -ENOMEM
 */
int ipcfs_registry_get_view(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace,
			    struct ipcfs_space *shm, uid_t uid, struct ipcfs_view **found);

/*
 * Removes the namespace from the table; its reference to the space is then the caller's. Call with
 * registry->lock held. False: it was not in the table.
 */
bool ipcfs_registry_remove(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace);

/* Adds a view to which no name leads any more to the stale ones. Call with registry->lock held. */
void ipcfs_registry_mark_stale(struct ipcfs_registry *registry, struct ipcfs_view *view);

#endif
