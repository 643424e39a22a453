/* SPDX-License-Identifier: MIT */
/* The registry from inside: shared by registry.c and registry_watch.c only. */
#ifndef IPCFS_REGISTRY_INSIDE_H
#define IPCFS_REGISTRY_INSIDE_H

#include <pthread.h>

#include "census.h"
#include "hash.h"
#include "registry.h"

/* One IPC namespace; goes with its space. */
struct ipcfs_namespace {
	uint64_t inode;
	struct ipcfs_space *space;
	struct ipcfs_acl_store *acls;
	struct ipcfs_view *views;	  /* guarded by the registry's lock, as the next */
	const struct ipcfs_view *current; /* what its name led to last; NULL: that is gone */
	_Atomic pid_t witness;		  /* somebody who was there */
	_Atomic pid_t elder;		  /* whose /dev/shm others see; 0: to be looked for */
	unsigned missed;		  /* rounds of the watcher that found nobody there */
	UT_hash_handle hh;
};

/* A /dev/shm, as long as a view has it. */
struct ipcfs_shm {
	struct ipcfs_place place;
	struct ipcfs_space *space; /* the views' */
	unsigned views;
	UT_hash_handle hh;
};

struct ipcfs_registry {
	bool all;
	const char *state; /* borrowed */
	struct ipcfs_registry_hooks hooks;
	struct ipcfs_view *home; /* a reference */
	struct ipcfs_census *census;

	pthread_mutex_t lock;		    /* guards what follows, and views */
	struct ipcfs_namespace *namespaces; /* each with a reference to its space */
	struct ipcfs_shm *shms;
	struct ipcfs_view *stale; /* each with a reference */
	pthread_cond_t wake;
	pthread_t watcher;
	bool running, stopping;
};

/* Out of the table. False: it is no longer there. Called with the lock held; its reference is the caller's then. */
bool ipcfs_registry_remove(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace);

/* No name leads to this view any more. Called with the lock held. */
void ipcfs_registry_stale(struct ipcfs_registry *registry, struct ipcfs_view *view);

#endif
