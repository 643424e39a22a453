/* SPDX-License-Identifier: MIT */
/*
 * The gate: may this request come in at all? Asked once for each, before anybody else looks at it.
 * It knows the whitelist (allow_uid, allow_gid) and how fast requests may come (rate). What has to come
 * through for the kernel to be rid of something (FORGET, INTERRUPT, RELEASE, FLUSH, ...) always does.
 */
#ifndef IPCFS_GATE_H
#define IPCFS_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "account.h"
#include "caller.h"
#include "settings.h"

struct ipcfs_gate {
	atomic_bool armed;  /* there is a whitelist or a rate */
	atomic_bool listed; /* there is a whitelist */
	atomic_bool hides;  /* the setting hide */
	struct ipcfs_account *account;
	pthread_mutex_t lock; /* guards the whitelist; innermost */
	struct ipcfs_ids uids, gids;
};

/* -ENOMEM. `account` is borrowed. */
int ipcfs_gate_init(struct ipcfs_gate *gate, const struct ipcfs_settings *settings,
		    struct ipcfs_account *account);
void ipcfs_gate_destroy(struct ipcfs_gate *gate);

/* From now on these, for the account too. -ENOMEM: all is as it was. */
int ipcfs_gate_set(struct ipcfs_gate *gate, const struct ipcfs_settings *settings);

/* For ipcfs_gate_admit: a request as it was read from /dev/fuse. */
int ipcfs_gate_admit_armed(struct ipcfs_gate *gate, int fd, const void *request, size_t size);

/*
 * 0: go on with this request. -EACCES, -EAGAIN, -ENOMEM: it was refused, and the error written to `fd`, the
 * connection.
 */
static inline int ipcfs_gate_admit(struct ipcfs_gate *gate, int fd, const void *request,
				   size_t size)
{
	if (!atomic_load_explicit(&gate->armed, memory_order_relaxed))
		return 0;
	return ipcfs_gate_admit_armed(gate, fd, request, size);
}

/* May the kernel show one caller what it keeps of another's look at objects? */
static inline bool ipcfs_gate_may_share(const struct ipcfs_gate *gate)
{
	return !atomic_load_explicit(&gate->listed, memory_order_relaxed) &&
	       !atomic_load_explicit(&gate->hides, memory_order_relaxed);
}

/* For ipcfs_gate_allows. */
int ipcfs_gate_ask_list(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
			int (*load)(struct ipcfs_caller *caller));

/*
 * Is the caller on the whitelist? 0, -EACCES, or what `load` returned, which is called only where
 * supplementary groups decide and the caller is not loaded; NULL: an unloaded caller has none.
 */
static inline int ipcfs_gate_allows(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
				    int (*load)(struct ipcfs_caller *caller))
{
	if (!atomic_load_explicit(&gate->listed, memory_order_relaxed))
		return 0;
	return ipcfs_gate_ask_list(gate, caller, load);
}

#endif
