/* SPDX-License-Identifier: MIT */
#include "fs/access/gate.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/fuse_header.h"
#include "fs/base/unanswered.h"

int ipcfs_gate_init(struct ipcfs_gate *gate, const struct ipcfs_settings *settings,
		    struct ipcfs_quota *quota)
{
	*gate = (struct ipcfs_gate){ .quota = quota };
	pthread_mutex_init(&gate->lock, NULL);
	return ipcfs_gate_set(gate, settings);
}

static void free_lists(struct ipcfs_ids *uids, struct ipcfs_ids *gids)
{
	struct ipcfs_settings old = { .allow_uid = *uids, .allow_gid = *gids };

	ipcfs_settings_free(&old);
}

void ipcfs_gate_destroy(struct ipcfs_gate *gate)
{
	free_lists(&gate->uids, &gate->gids);
	pthread_mutex_destroy(&gate->lock);
}

int ipcfs_gate_set(struct ipcfs_gate *gate, const struct ipcfs_settings *settings)
{
	bool listed = ipcfs_settings_are_listed(settings);
	struct ipcfs_ids uids, gids, old;

	if (!listed && atomic_load(&gate->listed))
		return -EPERM;
	if (ipcfs_ids_copy(&uids, &settings->allow_uid))
		return -ENOMEM;
	if (ipcfs_ids_copy(&gids, &settings->allow_gid)) {
		free_lists(&uids, &gids);
		return -ENOMEM;
	}
	pthread_mutex_lock(&gate->lock);
	old = gate->uids;
	gate->uids = uids;
	uids = old;
	old = gate->gids;
	gate->gids = gids;
	gids = old;
	pthread_mutex_unlock(&gate->lock);
	free_lists(&uids, &gids);
	ipcfs_quota_limit(gate->quota, settings);
	atomic_store(&gate->listed, listed);
	atomic_store(&gate->hides, settings->hide);
	atomic_store(&gate->armed, listed || settings->rate);
	return 0;
}

/*
 * Tells whether the caller is listed by its uid, its gid, or its groups if they are loaded.
 * Everybody is when both lists have become empty.
 */
static bool is_listed(struct ipcfs_gate *gate, const struct ipcfs_caller *caller)
{
	bool listed;

	pthread_mutex_lock(&gate->lock);
	listed = (!gate->uids.count && !gate->gids.count) ||
		 ipcfs_ids_have(&gate->uids, caller->uid) ||
		 ipcfs_ids_have(&gate->gids, caller->gid);
	for (size_t i = 0; !listed && caller->loaded && i < caller->ngroups; i++)
		listed = ipcfs_ids_have(&gate->gids, caller->groups[i]);
	pthread_mutex_unlock(&gate->lock);
	return listed;
}

static bool has_group_list(struct ipcfs_gate *gate)
{
	bool count;

	pthread_mutex_lock(&gate->lock);
	count = gate->gids.count > 0;
	pthread_mutex_unlock(&gate->lock);
	return count;
}

int ipcfs_gate_ask_list(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
			int (*load)(struct ipcfs_caller *caller))
{
	int err;

	if (is_listed(gate, caller))
		return 0;
	if (caller->loaded || !load || !has_group_list(gate))
		return -EACCES;
	err = load(caller);
	if (err)
		return err;
	return is_listed(gate, caller) ? 0 : -EACCES;
}

static int judge(struct ipcfs_gate *gate, const struct ipcfs_fuse_header *head,
		 enum ipcfs_fuse_subject subject)
{
	struct ipcfs_caller caller = { .uid = head->uid, .gid = head->gid, .tid = head->tid };
	int err = 0;

	/* The rate comes first: the daemon then does not read /proc for each request of a flood. */
	if (subject != IPCFS_FUSE_ON_MOUNT || head->uid != 0)
		err = ipcfs_quota_take(gate->quota, head->uid, ipcfs_clock_ns());
	if (err || subject != IPCFS_FUSE_ON_PATH)
		return err;
	err = ipcfs_gate_allows(gate, &caller, ipcfs_caller_load);
	ipcfs_caller_free(&caller);
	return err;
}

int ipcfs_gate_admit_armed(struct ipcfs_gate *gate, int fd, const void *request, size_t size)
{
	enum ipcfs_fuse_subject subject = ipcfs_fuse_header_subject(request, size);
	struct ipcfs_fuse_header head;
	int err;

	if (subject == IPCFS_FUSE_ON_NOTHING)
		return 0;
	ipcfs_fuse_header_read(request, &head);
	err = judge(gate, &head, subject);
	if (err)
		ipcfs_unanswered_refuse(fd, head.unique, err);
	return err;
}
