/* SPDX-License-Identifier: MIT */
#include "fs/namespaces/process_scan.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/long_work.h"
#include "fs/base/clock.h"
#include "fs/base/hash.h"

#define FRESH_NS (20 * 1000 * 1000) /* age of a scan that is not repeated */
#define LONG_NS (5 * 1000 * 1000)   /* after a scan of more ns the next one is long work */

/* A namespace and its processes, in the order of their numbers. */
struct members {
	uint64_t inode;
	struct ipcfs_text pids; /* of pid_t */
	UT_hash_handle hh;
};

struct ipcfs_process_scan {
	pthread_mutex_t lock; /* guards what follows */
	struct members *namespaces;
	uint64_t scanned_at; /* ns of a monotonic clock; 0: never */
	atomic_bool is_long; /* the last scan took long */
};

static void free_members(struct members **namespaces)
{
	struct members *members, *next;

	HASH_ITER (hh, *namespaces, members, next) {
		HASH_DEL(*namespaces, members);
		ipcfs_text_free(&members->pids);
		free(members);
	}
}

struct ipcfs_process_scan *ipcfs_process_scan_new(void)
{
	struct ipcfs_process_scan *scan = calloc(1, sizeof(*scan));

	if (scan)
		pthread_mutex_init(&scan->lock, NULL);
	return scan;
}

void ipcfs_process_scan_free(struct ipcfs_process_scan *scan)
{
	if (!scan)
		return;
	free_members(&scan->namespaces);
	pthread_mutex_destroy(&scan->lock);
	free(scan);
}

/* Counts a process. For ipcfs_namespace_each. */
static int add_member(void *arg, uint64_t inode, pid_t pid)
{
	struct members **namespaces = arg, *members;

	HASH_FIND(hh, *namespaces, &inode, sizeof(inode), members);
	if (!members) {
		members = calloc(1, sizeof(*members));
		if (!members)
			return -ENOMEM;
		members->inode = inode;
		HASH_ADD(hh, *namespaces, inode, sizeof(members->inode), members);
		if (!members->hh.tbl) {
			free(members);
			return -ENOMEM;
		}
	}
	return ipcfs_text_add(&members->pids, &pid, sizeof(pid));
}

/*
 * Scans all processes. After an error the old scan is kept.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM, and the errors of reading /proc.
 */
static int scan_processes(struct ipcfs_process_scan *scan)
{
	struct members *fresh = NULL, *old;
	uint64_t start = ipcfs_clock_ns();
	int err = atomic_load(&scan->is_long) ? ipcfs_long_work() : 0;

	if (!err)
		err = ipcfs_namespace_each(add_member, &fresh);
	if (!err) {
		atomic_store(&scan->is_long, ipcfs_clock_ns() - start > LONG_NS);
		pthread_mutex_lock(&scan->lock);
		old = scan->namespaces;
		scan->namespaces = fresh;
		scan->scanned_at = start;
		pthread_mutex_unlock(&scan->lock);
		fresh = old;
	}
	free_members(&fresh);
	return err;
}

/* Copies the namespace's processes to `pids`, which the caller frees. True: the scan is not old. */
static bool copy_pids(struct ipcfs_process_scan *scan, uint64_t inode, struct ipcfs_text *pids)
{
	struct members *members;
	bool fresh;

	ipcfs_text_cut(pids, 0);
	pthread_mutex_lock(&scan->lock);
	HASH_FIND(hh, scan->namespaces, &inode, sizeof(inode), members);
	/* Without memory there are no processes. */
	if (members)
		(void)ipcfs_text_add(pids, members->pids.data, members->pids.size);
	fresh = scan->scanned_at && ipcfs_clock_ns() - scan->scanned_at < FRESH_NS;
	pthread_mutex_unlock(&scan->lock);
	return fresh;
}

/*
 * Returns the oldest process that still is in the namespace, and belongs there. 0: there is none.
 */
static pid_t oldest_of(const struct ipcfs_text *members, uint64_t inode,
		       const struct ipcfs_authority *authority)
{
	const pid_t *pids = (const void *)members->data;
	uint64_t first = UINT64_MAX;
	pid_t found = 0;

	for (size_t i = 0; i < members->size / sizeof(*pids); i++) {
		uint64_t start = ipcfs_namespace_start(pids[i]);

		if (!start || start >= first || ipcfs_namespace_of(pids[i]) != inode ||
		    (authority && !ipcfs_namespace_governs(authority, pids[i])))
			continue;
		first = start;
		found = pids[i];
	}
	return found;
}

pid_t ipcfs_process_scan_oldest(struct ipcfs_process_scan *scan, uint64_t inode,
				const struct ipcfs_authority *authority)
{
	struct ipcfs_text pids = { 0 };
	bool fresh = copy_pids(scan, inode, &pids);
	pid_t found = oldest_of(&pids, inode, authority);
	int err;

	if (!found && !fresh) {
		err = scan_processes(scan);
		(void)copy_pids(scan, inode, &pids);
		found = err == -ERESTART ? err : oldest_of(&pids, inode, authority);
	}
	ipcfs_text_free(&pids);
	return found;
}

/* A process of each namespace, copied so that `each` is called without the lock. */
struct sample {
	uint64_t inode;
	pid_t pid;
};

static int take_samples(struct ipcfs_process_scan *scan, struct ipcfs_text *samples)
{
	struct members *members, *next;
	int err = 0;

	pthread_mutex_lock(&scan->lock);
	HASH_ITER (hh, scan->namespaces, members, next) {
		struct sample sample = { .inode = members->inode };

		memcpy(&sample.pid, members->pids.data, sizeof(sample.pid));
		err = ipcfs_text_add(samples, &sample, sizeof(sample));
		if (err)
			break;
	}
	pthread_mutex_unlock(&scan->lock);
	return err;
}

int ipcfs_process_scan_list(struct ipcfs_process_scan *scan,
			    int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg)
{
	struct ipcfs_text samples = { 0 };
	const struct sample *sample;
	int err = scan_processes(scan);

	if (!err)
		err = take_samples(scan, &samples);
	sample = (const void *)samples.data;
	for (size_t i = 0; !err && i < samples.size / sizeof(*sample); i++)
		err = each(arg, sample[i].inode, sample[i].pid);
	ipcfs_text_free(&samples);
	return err;
}
