/* SPDX-License-Identifier: MIT */
/*
 * What ipcfs_space_open of backend.h and its kin open: an IPC namespace, a /dev/shm, or both as one
 * process has them.
 */
#ifndef IPCFS_SPACE_H
#define IPCFS_SPACE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "authority.h"
#include "backend.h"

struct ipcfs_resident;

struct ipcfs_space {
	atomic_uint references;
	int mq; /* the root directory of the namespace's mqueue file system, open for reading; -1: none */
	int mq_mount; /* and its mount */
	int shm;      /* /dev/shm, with O_PATH; -1: there is none */
	dev_t shm_device;
	struct ipcfs_place place; /* where that is */
	int process;		  /* a pidfd of the process that was joined; -1: none */
	int ns;			  /* the IPC namespace, to be entered; -1: the process is in it */
	bool home;		  /* the process is in it all the same */
	atomic_bool ended;
	struct ipcfs_resident *resident; /* of presence.c; NULL where none ever has to be entered */
	struct ipcfs_space_identity identity;
	struct ipcfs_authority authority;
	bool known; /* its /dev/shm is: see is_known */
	struct ipcfs_space *next, *prev;
	void *owner;
	void (*disown)(void *owner);
};

#endif
