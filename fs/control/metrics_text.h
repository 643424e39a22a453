/* SPDX-License-Identifier: MIT */
/* Writing numbers in the text format of Prometheus, version 0.0.4. Pure, but for the counters. */
#ifndef IPCFS_METRICS_TEXT_H
#define IPCFS_METRICS_TEXT_H

#include "fs/access/quota.h"
#include "fs/namespaces/registry.h"
#include "fs/semaphore/semaphore.h"

/* Sums over the objects of one class. What its objects do not have is 0. */
struct ipcfs_class_sums {
	uint64_t objects;
	uint64_t withheld; /* objects of which the opener may not know the rest */
	uint64_t messages, full;
	uint64_t bytes;	 /* queued, or of segments */
	uint64_t memory; /* bytes behind segments */
	uint64_t stale, removed;
	uint64_t leases;
	uint64_t semaphores, holds;
	/* a queue: by enum ipcfs_direction; a semaphore: by enum ipcfs_semaphore_wait */
	uint64_t waiting[IPCFS_SEMAPHORE_WAITS];
};

/* By the number of the class. Plain data. */
struct ipcfs_sums {
	struct ipcfs_class_sums classes[IPCFS_CLASSES_MAX + 1];
};

/* All that the file tells. The index is the number of a class. */
struct ipcfs_metrics {
	bool whole; /* the opener may know totals that include what is hidden from it */
	bool home;  /* it is the daemon's own namespace, which has the daemon's numbers, too */
	const struct ipcfs_sums *sums;
	bool limited[IPCFS_CLASSES_MAX + 1]; /* there is a limit, and it is known */
	uint64_t limits[IPCFS_CLASSES_MAX + 1];
	uint64_t moves[IPCFS_CLASSES_MAX + 1][IPCFS_MOVES];
	struct ipcfs_quota_totals used;
	unsigned namespaces;
	uint64_t resident; /* bytes */
	struct timespec cpu, started;
};

/* Appends the text. -ENOMEM. */
int ipcfs_metrics_text(const struct ipcfs_metrics *metrics, struct ipcfs_text *out);

#endif
