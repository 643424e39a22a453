/* SPDX-License-Identifier: MIT */
/*
 * For: the spaces behind contract/space.h: IPC namespaces, /dev/shm directories, and threads in
 * them.
 * Called by: backends/posix and backends/sysv, which read the struct; fs/ by contract/ only.
 * May call: backends/caller, backends/contract, backends/base, the C library.
 *
 * References are counted apart from opening and closing, as a thread that visits a space
 * (thread_ns.c) has a reference to it as well.
 */
#ifndef IPCFS_SPACE_REFERENCE_H
#define IPCFS_SPACE_REFERENCE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "backends/caller/authority.h"
#include "backends/contract/contract.h"

struct ipcfs_ns_worker;

struct ipcfs_space {
	atomic_uint references;
	void (*destroy)(struct ipcfs_space *space); /* called by the last unref */
	int mq;	      /* root of the namespace's mqueue file system, open for reading; -1: none */
	int mq_mount; /* the mount of mq; -1: none */
	int shm;      /* /dev/shm, open with O_PATH; -1: none */
	dev_t shm_device;
	struct ipcfs_shm_id shm_id;
	int process; /* pidfd of the process that was joined; -1: none */
	int ns;	     /* the IPC namespace to enter; -1: the whole process is in it */
	bool home;   /* ns is the namespace in which the process has started */
	atomic_bool ended;
	struct ipcfs_ns_worker *worker; /* see thread_ns.c; NULL: ns is -1 */
	struct ipcfs_space_identity identity;
	struct ipcfs_authority authority;
	bool listed;			 /* in the list of known /dev/shm directories of space.c */
	struct ipcfs_space *next, *prev; /* of that list */
	void *owner;			 /* see ipcfs_space_own */
	void (*disown)(void *owner);
};

#endif
