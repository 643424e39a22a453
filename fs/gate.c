/* SPDX-License-Identifier: MIT */
#include "gate.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "request.h"

int ipcfs_gate_init(struct ipcfs_gate *gate, const struct ipcfs_settings *settings,
		    struct ipcfs_account *account)
{
	*gate = (struct ipcfs_gate){ .account = account };
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
	bool listed = settings->allow_uid.count || settings->allow_gid.count;
	struct ipcfs_ids uids, gids, old;

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
	ipcfs_account_limit(gate->account, settings);
	atomic_store(&gate->listed, listed);
	atomic_store(&gate->hides, settings->hide);
	atomic_store(&gate->armed, listed || settings->rate);
	return 0;
}

/* By uid and gid, and by the groups as far as they are known. Empty lists: by now there is none any more. */
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

static bool groups_count(struct ipcfs_gate *gate)
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
	if (caller->loaded || !load || !groups_count(gate))
		return -EACCES;
	err = load(caller);
	if (err)
		return err;
	return is_listed(gate, caller) ? 0 : -EACCES;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int judge(struct ipcfs_gate *gate, const struct ipcfs_request *head,
		 enum ipcfs_request_sort sort)
{
	struct ipcfs_caller caller = { .uid = head->uid, .gid = head->gid, .tid = head->tid };
	int err = 0;

	/* First: a flood of those who may not come in at all costs them their tokens, and us no look into /proc. */
	if (sort != IPCFS_REQUEST_LOOK || head->uid != 0)
		err = ipcfs_account_take(gate->account, head->uid, clock_ns());
	if (err || sort != IPCFS_REQUEST_ON_PATH)
		return err;
	err = ipcfs_gate_allows(gate, &caller, ipcfs_caller_load);
	ipcfs_caller_free(&caller);
	return err;
}

int ipcfs_gate_admit_armed(struct ipcfs_gate *gate, int fd, const void *request, size_t size)
{
	enum ipcfs_request_sort sort = ipcfs_request_sort(request, size);
	struct ipcfs_request head;
	int err;

	if (sort == IPCFS_REQUEST_FREE)
		return 0;
	ipcfs_request_head(request, &head);
	err = judge(gate, &head, sort);
	if (err)
		ipcfs_request_refuse(fd, head.unique, err);
	return err;
}
