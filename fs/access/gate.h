/* SPDX-License-Identifier: MIT */
/*
 * The gate: admits or refuses each request before it is handled, by the whitelist (allow_uid,
 * allow_gid) and by the rate. Requests by which the kernel gives something back (FORGET, INTERRUPT,
 * RELEASE, FLUSH, ...) are always admitted.
 */
#ifndef IPCFS_GATE_H
#define IPCFS_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/access/caller.h"
#include "fs/access/quota.h"
#include "fs/base/settings.h"

struct ipcfs_gate {
	atomic_bool armed;  /* there is a whitelist or a rate */
	atomic_bool listed; /* there is a whitelist */
	atomic_bool hides;  /* the setting hide */
	struct ipcfs_quota *quota;
	pthread_mutex_t lock; /* guards the whitelist; innermost */
	struct ipcfs_ids uids, gids;
};

/* Initialises the gate. `quota` is borrowed. -ENOMEM: destroy it all the same. */
int ipcfs_gate_init(struct ipcfs_gate *gate, const struct ipcfs_settings *settings,
		    struct ipcfs_quota *quota);
void ipcfs_gate_destroy(struct ipcfs_gate *gate);

/*
 * Applies other settings, to the quota too. After an error nothing is changed.
 *   -EPERM: there is a whitelist, and the settings have none. A file that was cut or emptied would
 *   let everybody in.
 *   -ENOMEM
 */
int ipcfs_gate_set(struct ipcfs_gate *gate, const struct ipcfs_settings *settings);

/* The part of ipcfs_gate_admit for a gate with a whitelist or a rate. */
int ipcfs_gate_admit_armed(struct ipcfs_gate *gate, int fd, const void *request, size_t size);

/*
 * Checks a request as it was read from /dev/fuse. 0: it is admitted. An error was written to `fd`,
 * the connection, as the answer.
 *   -EACCES: the caller is not on the whitelist.
 *   -EAGAIN: the caller makes more requests than `rate`.
 *   -ENOMEM
 */
static inline int ipcfs_gate_admit(struct ipcfs_gate *gate, int fd, const void *request,
				   size_t size)
{
	if (!atomic_load_explicit(&gate->armed, memory_order_relaxed))
		return 0;
	return ipcfs_gate_admit_armed(gate, fd, request, size);
}

/* Tells whether the kernel may answer one caller from what it cached for another. */
static inline bool ipcfs_gate_may_share(const struct ipcfs_gate *gate)
{
	return !atomic_load_explicit(&gate->listed, memory_order_relaxed) &&
	       !atomic_load_explicit(&gate->hides, memory_order_relaxed);
}

/* The part of ipcfs_gate_allows for a gate with a whitelist. */
int ipcfs_gate_ask_list(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
			int (*load)(struct ipcfs_caller *caller));

/*
 * Checks the caller against the whitelist. `load` is called only if the caller is not loaded and
 * its supplementary groups decide. NULL: an unloaded caller has none.
 *   -EACCES: the caller is not on the list.
 *   Errors of `load`.
 */
static inline int ipcfs_gate_allows(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
				    int (*load)(struct ipcfs_caller *caller))
{
	if (!atomic_load_explicit(&gate->listed, memory_order_relaxed))
		return 0;
	return ipcfs_gate_ask_list(gate, caller, load);
}

#endif
